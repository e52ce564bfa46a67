"""A file's new bytes where only the beginning is new; the rest is the older object, not a copy."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Spliced:
    """``head``, then what ``older`` holds from byte ``at`` on."""

    head: bytes
    older: bytes = b""
    at: int = 0

    def __bytes__(self) -> bytes:
        return b"".join(pieces(self)) if self.older else self.head


Content = bytes | Spliced


def pieces(content: Content) -> list[bytes | memoryview]:
    """The bytes in order, nothing copied."""
    if isinstance(content, Spliced):
        return [content.head, memoryview(content.older)[content.at :]]
    return [content]
