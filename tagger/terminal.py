"""What reaches a terminal, a log or a mail: one printable line a message, and streams that hold."""

import contextlib
import io
import os
import sys
from typing import Any

import click


def printable(text: str) -> str:
    r"""Text as one printable line: what cannot be printed becomes ``\xNN``, byte by byte.

    Control characters, escape sequences, line breaks, marks that turn the direction of writing,
    and bytes that are not UTF-8: a file's name may hold any of them.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else "".join(f"\\x{byte:02x}" for byte in _bytes(char))
        for char in text
    )


def counted(count: int, what: str) -> str:
    """A count in words: 1 photo, 1,234 photos."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _bytes(char: str) -> bytes:
    return char.encode("utf-8", "surrogateescape" if "\udc80" <= char <= "\udcff" else "replace")


def tell(message: str, err: bool = False) -> None:
    """Print one line, whatever names are in it."""
    click.echo(printable(message), err=err)


class _Holding(io.FileIO):
    """A stream that never fails: output to a closed pipe or a full disk is dropped."""

    def write(self, data: Any, /) -> int:
        with contextlib.suppress(OSError):
            written = super().write(data)
            if written is not None:  # a terminal that is not ready
                return written
        return len(memoryview(data).cast("B"))


def hold_streams() -> None:
    """Let neither a closed nor a full standard output or error end the run or change its code.

    A descriptor that is closed is opened on nothing: else the next file that is opened, a photo
    perhaps, would get its number, and what libraries print would go into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # its descriptor was closed when Python started
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif stream is getattr(sys, f"__{name}__") and hasattr(stream, "buffer"):
            setattr(sys, name, _holding(stream))


def _holding(stream: Any) -> io.TextIOWrapper:
    with contextlib.suppress(OSError):
        stream.flush()
    raw: Any = _Holding(stream.fileno(), "w", closefd=False)
    if not stream.write_through:  # PYTHONUNBUFFERED: a buffer would hold the last line back
        raw = io.BufferedWriter(raw)
    return io.TextIOWrapper(
        raw, stream.encoding, stream.errors,
        line_buffering=stream.line_buffering, write_through=stream.write_through,
    )  # fmt: skip
