"""``python -m tagger`` is the same as ``landmark-tag``."""

from tagger.cli import main

main()
