"""Local features: does some photo of the landmark show the same points, moved alike?"""

from tagger.errors import RunError

try:
    from tagger.model.local_features import _match, _sift  # noqa: F401 - whether they are there
except ImportError as error:
    raise RunError(
        "this copy of landmark-tag is not compiled; install it (pip install .) where there is a C "
        "compiler, or install a wheel"
    ) from error
