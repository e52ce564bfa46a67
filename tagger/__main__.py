"""``python -m tagger`` is the same as ``landmark-tag``."""

from tagger.cli.main import main

main()
