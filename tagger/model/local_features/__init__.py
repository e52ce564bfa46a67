"""Local features: does some photo of the landmark show the same points, moved alike?"""

from tagger.errors import NotCompiledError

try:
    from tagger.model.local_features import _match, _sift  # noqa: F401 - whether they are there
except ImportError as error:
    raise NotCompiledError from error
