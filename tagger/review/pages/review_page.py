"""The Review page: filters, progress, and the view that is chosen."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from tagger.errors import PhotoError
from tagger.places.own import known_places
from tagger.records import Status
from tagger.review import thumbnails
from tagger.review.decision import Decision, Verdict
from tagger.review.options import AppOptions, current
from tagger.review.pages import style
from tagger.review.pages.apply_page import show_apply
from tagger.review.pages.components import gallery, picture
from tagger.review.pages.filters import filters
from tagger.review.pages.lessons_page import show_lessons
from tagger.review.pages.map_page import show_map
from tagger.review.pages.photo_panel import show_photo
from tagger.review.session import Review
from tagger.review.sheet import number, printable
from tagger.review.trusted_root import Root
from tagger.review.view import View
from tagger.terminal import counted

_PAGE = 24
_MOST_GROUPED = 2000
_VIEWS = ("Photos", "Places", "Accuracy", "Apply")
_POOL = ThreadPoolExecutor(2, thread_name_prefix="thumbnails")


@st.cache_resource(show_spinner=False)
def opened(report: Path, root: Root) -> tuple[Review, View]:
    """The review of this server; all its browser tabs share it."""
    known = known_places(current().packs, current().model)
    review = Review(report, known)
    return review, View(review, root)


def show(options: AppOptions) -> None:
    assert options.report is not None
    review, view = opened(options.report, options.root)
    _say_what_is_wrong(review, view, options)
    left, progress = st.columns(2, gap="medium", vertical_alignment="center")
    chosen = left.segmented_control(
        "View",
        _VIEWS,
        default=_VIEWS[0],
        key="view",
        label_visibility="collapsed",
        bind="query-params",
        required=True,
    )
    with st.sidebar:
        wanted, together = filters(view)
    rows = view.rows(wanted)
    match chosen:
        case "Places":
            show_map(review, options, rows)
        case "Accuracy":
            show_lessons(review, options.root)
        case "Apply":
            show_apply(review, view, options, rows, wanted.words())
        case _:
            _photos(review, rows, options, together)
    with progress:  # last: when it counts a decision, the keys are for the next photo
        _progress(review, view)


def _say_what_is_wrong(review: Review, view: View, options: AppOptions) -> None:
    if view.refused:
        st.warning(
            f"{counted(view.refused, 'row')} of files outside {style.plain(str(options.root))}, "
            "refused. If that is where the photos are, start again with --root FOLDER."
        )
    if review.problem:
        st.error(style.plain(review.problem))
    if review.kept:
        st.info(f"{counted(review.kept, 'row')} edited in the report since; the edits were kept.")
    if message := st.session_state.pop("message", ""):
        st.error(style.plain(message))


def _progress(review: Review, view: View) -> None:
    total = view.total
    verdicts = [decision.verdict for decision in review.decisions.values()]
    done = len(verdicts)
    corrected = sum(verdict in (Verdict.LANDMARK, Verdict.PLACE) for verdict in verdicts)
    words = (
        f"{done:,} of {total:,} reviewed: {verdicts.count(Verdict.ACCEPT):,} accepted, "
        f"{verdicts.count(Verdict.REJECT):,} rejected, {corrected:,} corrected"
    )
    st.progress(min(1.0, done / total) if total else 1.0, text=words)


def _photos(review: Review, rows: NDArray[np.int64], options: AppOptions, together: bool) -> None:
    if not len(rows):
        st.info("No photo passes these filters. Loosen one of them at the left.")
        return
    groups: dict[int, int] = {}
    root = options.root
    if together:
        rows, groups = _together(review, rows, root)
    order = [int(row) for row in rows]
    current = st.session_state.get("current", _asked_for())
    if current not in order:
        place = min(st.session_state.get("place", 0), len(order) - 1) if "current" in (
            st.session_state) else 0  # fmt: skip
        current = order[place]
    place = order.index(current)
    st.session_state.current, st.session_state.place = current, place
    st.query_params["photo"] = str(current)  # a page that is loaded again is where it was
    if place + 1 < len(order):
        _POOL.submit(thumbnails.large_of, review.sheet.photo(order[place + 1]), root)
    alike = [row for row in order if groups and groups.get(row) == groups.get(current)]
    with st.container(key="desk"):
        show_photo(review, options, order, place, alike)
        with st.container(key="gallery_part"):
            _gallery(review, order, place, root)


def _asked_for() -> int | None:
    """The row in the address, where the page is loaded anew."""
    row = st.query_params.get("photo", "")
    fresh = "place" not in st.session_state
    return int(row) if fresh and row.isascii() and row.isdigit() else None


def _together(
    review: Review, rows: NDArray[np.int64], root: Root
) -> tuple[NDArray[np.int64], dict[int, int]]:
    """The rows with near-duplicates next to each other, and the group of each."""
    if len(rows) > _MOST_GROUPED:
        st.caption(f"Compares the first {_MOST_GROUPED:,} photos of this selection.")
        rows = rows[:_MOST_GROUPED]
    with st.spinner("Comparing photos ..."):
        prints = tuple(
            _POOL.map(
                lambda row: thumbnails.fingerprint_of(review.sheet.photo(int(row)), root), rows
            )
        )
    first = thumbnails.alike(prints)
    order = np.argsort(np.array(first), kind="stable")
    return rows[order], {int(row): group for row, group in zip(rows, first, strict=True)}


def _gallery(review: Review, order: list[int], place: int, root: Root) -> None:
    pages = -(-len(order) // _PAGE)
    page = place // _PAGE
    shown = order[page * _PAGE : (page + 1) * _PAGE]
    first = page * _PAGE + 1
    if pages > 1:
        _pager(order, page, first, first + len(shown) - 1, pages)
    thumbs = _POOL.map(lambda row: _thumb(review.sheet.photo(row), root), shown)
    cards = [
        _card(review, row, picture(thumb, f"thumb_{row}") if thumb else "", row == order[place])
        for row, thumb in zip(shown, thumbs, strict=True)
    ]
    gallery("gallery", cards, _opened)


def _pager(order: list[int], page: int, first: int, last: int, pages: int) -> None:
    left, middle, right = st.columns([1, 3, 1], vertical_alignment="center")
    left.button("Earlier", disabled=page == 0, width="stretch", icon=":material/chevron_left:",
                on_click=_open, args=(order[max(0, page - 1) * _PAGE],))  # fmt: skip
    middle.markdown(
        f"<p class='lt-pager'>Photos {first:,} to {last:,} "
        f"of {len(order):,}, page {page + 1:,} of {pages:,}</p>",
        unsafe_allow_html=True,
    )
    right.button("Later", disabled=page + 1 == pages, width="stretch",
                 icon=":material/chevron_right:", on_click=_open,
                 args=(order[min(pages - 1, page + 1) * _PAGE],))  # fmt: skip


def _card(review: Review, row: int, thumb: str, current: bool) -> dict[str, Any]:
    confidence = number(review.sheet.cell(row, "confidence"))
    percent = "" if confidence is None else f", {100 * confidence:.0f} %"
    decision = review.decision(row)
    return {
        "row": row,
        "thumb": thumb,
        "file": Path(printable(review.sheet.photo(row))).name,
        "title": printable(review.sheet.headline(row)),
        "note": review.sheet.cell(row, "status").replace("_", " ") + percent,
        "decision": _badge(decision, review.sheet.cell(row, "status")),
        "current": current,
    }


def _badge(decision: Decision | None, status: str) -> str:
    if decision is None:
        return ""
    agreed = decision.verdict is Verdict.REJECT and status == Status.NO_LANDMARK
    return "none" if agreed else decision.verdict.value


def _thumb(path: str, root: Root) -> bytes:
    try:
        return thumbnails.thumbnail_of(path, root, 240)
    except PhotoError:
        return b""


def _open(row: int) -> None:
    st.session_state.current = row


def _opened() -> None:
    row = st.session_state.gallery.get("open")
    if isinstance(row, int):
        st.session_state.current = row
