"""The exit codes of the commands, and an error of the run as its message and code."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from tagger.errors import RunError
from tagger.terminal import tell

EXIT_PHOTO_FAILED = 1
EXIT_INTERRUPTED = 130

P = ParamSpec("P")


def exits(command: Callable[P, int | None]) -> Callable[P, None]:
    """Exit with the command's result, or with the error's code and message."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = command(*args, **kwargs)
        except RunError as error:
            tell(f"landmark-tag: {error}", err=True)
            code = error.exit_code
        sys.exit(code)

    return wrapped
