def eighth(
    data: bytes,
    start: int,
    width: int,
    height: int,
    interval: int,
    components: tuple[tuple[object, ...], ...],
) -> bytes | None: ...
