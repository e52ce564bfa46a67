"""Cells of the report: text that a spreadsheet opens safely, and back."""

import os

from tagger.terminal import printable

# What makes a spreadsheet take a cell for a formula (OWASP, "CSV Injection"), and our own mark.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


def safe(text: str) -> str:
    """Text that no spreadsheet runs as a formula: an apostrophe goes before a risky start."""
    return f"'{text}" if text.startswith(FORMULA) else text


def unsafe(text: str) -> str:
    """The inverse of :func:`safe`."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


def portable(path: str) -> str:
    """A path as one printable line, marked with ``\\\\?`` where it had to be escaped for that.

    What cannot be printed, bytes that are not UTF-8 among it, becomes ``\\xNN``.
    """
    if path.isprintable() and not path.startswith("\\\\?"):
        return path
    return "\\\\?" + printable(path.replace("\\", "\\\\"))


def native(text: str) -> str:
    """The inverse of :func:`portable`."""
    if not text.startswith("\\\\?"):
        return text
    return os.fsdecode(text[3:].encode().decode("unicode_escape").encode("latin-1"))
