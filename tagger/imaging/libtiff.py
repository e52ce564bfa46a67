"""The libtiff inside Pillow: keep it from writing to the terminal, ask what it can decode."""

import ctypes
import ctypes.util
from functools import cache
from pathlib import Path

import PIL


@cache
def _library() -> ctypes.CDLL | None:
    """Pillow's own copy in a wheel, else the system's; None if it is linked statically."""
    package = Path(PIL.__file__).parent
    places = (package.parent / "pillow.libs", package / ".dylibs")
    bundled = [str(path) for place in places for path in sorted(place.glob("libtiff*"))]
    name = bundled[0] if bundled else ctypes.util.find_library("tiff")
    try:
        return ctypes.CDLL(name) if name else None
    except OSError:
        return None


@cache
def silence() -> None:
    """Stop libtiff from printing errors without a file name; the report names file and error."""
    library = _library()
    for setter in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        if library is not None and hasattr(library, setter):
            call = getattr(library, setter)
            call.argtypes, call.restype = [ctypes.c_void_p], ctypes.c_void_p
            call(None)


def decodes(compression: int) -> bool:
    """Whether it was built with this compression (TIFF tag 259); True if it cannot be asked."""
    library = _library()
    if library is None or not hasattr(library, "TIFFIsCODECConfigured"):
        return True
    call = library.TIFFIsCODECConfigured
    call.argtypes, call.restype = [ctypes.c_uint16], ctypes.c_int
    return bool(call(compression & 0xFFFF))
