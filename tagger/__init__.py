"""landmark-tag: recognise the landmark on a photo and write its place into the photo."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tagger.api import (
        Candidate,
        Coords,
        GpsState,
        Guess,
        Landmark,
        LessonResult,
        LockedError,
        Model,
        Outcome,
        Photo,
        PhotoError,
        Run,
        RunError,
        SidecarMode,
        SidecarName,
        Source,
        Status,
        TaggerError,
        Undone,
        learn,
        load_model,
        read,
        tag,
        undo,
    )

__version__ = "0.2.0"

# In this order: to use, what they give, what they take, what they raise. All of it stands in
# tagger.api, which is imported when the first of these is asked for.
__all__ = [  # noqa: RUF022 - in an order for people
    "load_model", "read", "tag", "learn", "undo",
    "Model", "Guess", "Candidate", "Landmark", "Photo", "GpsState", "Run", "Outcome", "Status",
    "LessonResult", "Undone", "Coords", "SidecarMode", "SidecarName", "Source",
    "TaggerError", "RunError", "LockedError", "PhotoError",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import tagger.api

    return getattr(tagger.api, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
