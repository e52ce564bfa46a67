"""Messages, with the remedy, for local files that cannot be read or written."""

import contextlib
from collections.abc import Iterator

from tagger.errors import ChangedError, PhotoError, VanishedError
from tagger.storage.base import APPEARED
from tagger.system import LINK_ERRORS

IS_LINK = "it, or a folder it is in, has become a link, which is not followed; put the file there"
NO_FILE = "is not a file, though named like a photo; rename or exclude it"


def linked(names: int) -> str:
    """Why a file with several names is skipped."""
    return (
        f"has {names} names (hard links), and only this one would be changed; --hard-links split "
        "makes it a file of its own"
    )


@contextlib.contextmanager
def explained(verb: str) -> Iterator[None]:
    """Turn the system's errors into the photo's, with the remedy."""
    try:
        yield
    except FileNotFoundError as error:
        raise VanishedError("it vanished during the run; run again") from error
    except FileExistsError as error:
        raise ChangedError(APPEARED) from error
    except PermissionError as error:
        raise PhotoError(
            f"cannot be {verb} (no permission); check the permissions of it and its folder"
        ) from error
    except OSError as error:
        if error.errno in LINK_ERRORS:
            raise ChangedError(IS_LINK) from error
        raise PhotoError(
            f"cannot be {verb} ({error.strerror}); check the disk, its free space and its mount"
        ) from error
