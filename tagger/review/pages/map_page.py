"""The view beside the photos that shows their places: the map, accepting many, and learning."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from tagger.errors import RunError
from tagger.records import Landmark, Status
from tagger.review import lessons, teaching
from tagger.review.decision import Decision, Verdict
from tagger.review.options import AppOptions
from tagger.review.pages import style
from tagger.review.pages.components import world
from tagger.review.pages.style import photos
from tagger.review.session import Review
from tagger.review.sheet import position_by, printable

if TYPE_CHECKING:
    from tagger.model.classifier import Classifier

_LISTED = 100


def show_map(review: Review, options: AppOptions, rows: NDArray[np.int64]) -> None:
    """All places of the selection; a click on one filters by it. Below, bulk accept."""

    def chosen() -> None:
        place = st.session_state.world.get("place")
        if place and place.get("name"):
            if place.get("source"):
                st.session_state.sources_wanted = [place["source"]]
            else:
                st.session_state.landmarks_wanted = [place["name"]]
            st.session_state.view = "Photos"
            st.session_state.pop("current", None)

    points = lessons.places(review, rows.tolist())
    if not points:
        st.info("No photo of this selection has a place.")
    world("world", points, on_place=chosen)
    st.caption(
        "A dot is a place, its number the photos there: click it to see them. Places close "
        "together are one dot, which a click zooms into."
    )
    _bulk(review, rows.tolist())
    _teaching(review, options)
    _own_places()


def _teaching(review: Review, options: AppOptions) -> None:
    """Learn places that a person named, and remember guesses that were wrong."""
    teachable = teaching.teachable(review, options.root)
    if not teachable:
        return
    st.subheader("Learn from this review")
    st.caption(
        "Later runs then recognise the places that you named or corrected, and do not repeat the "
        "guesses that you rejected. Takes seconds; nothing leaves this machine."
    )
    words = {
        number: f"{'not ' if one.wrong else ''}{printable(one.lesson.name)}: "
        f"{photos(len(one.lesson.photos))}"
        for number, one in enumerate(teachable)
    }
    chosen = st.multiselect(
        "Places to learn", list(words), default=list(words), format_func=words.__getitem__,
        key="teach_chosen",
    )  # fmt: skip
    if st.button("Learn these places from these photos", key="teach", disabled=not chosen):
        try:
            with st.spinner("Learning ..."):
                count = teaching.teach([teachable[n] for n in chosen], _learner(options.model))
            st.success(
                f"Learned from {photos(count)}. The next run uses them."
                if count
                else "These photos were learned before; nothing is new."
            )
        except RunError as error:
            st.error(style.plain(str(error)))


@st.cache_resource(show_spinner=False)
def _learner(model: Path) -> "Classifier":
    from tagger.model.classifier import Classifier  # torch is slow to load

    return Classifier(model, "cpu")


def _own_places() -> None:
    """The places that were learned, on a map, and the guesses that were rejected."""
    try:
        pack = teaching.own_pack()
        marks, refused = teaching.own_names(pack) if pack else ([], [])
    except RunError as error:
        st.error(style.plain(str(error)))
        return
    if marks or refused:
        st.subheader("Your places")
    if marks:
        world("own_world", [
            lessons.Place(mark.name, mark.latitude, mark.longitude, count)
            for mark, count in marks
        ], on_place=lambda: None)  # fmt: skip
        st.caption(f"Learned: {_counted(marks)}.")
    if refused:
        st.caption(f"Remembered as wrong guesses: {_counted(refused)}.")


def _counted(marks: Sequence[tuple[Landmark, int]]) -> str:
    """Places with their photos, the first hundred by name."""
    named = sorted((mark.name, count) for mark, count in marks)
    more = [f"and {len(named) - _LISTED:,} more"] if len(named) > _LISTED else []
    listed = [f"{style.plain(name)} ({photos(count)})" for name, count in named[:_LISTED]]
    return ", ".join([*listed, *more])


def _bulk(review: Review, rows: Sequence[int]) -> None:
    open_rows: dict[str, list[int]] = {}
    for row in rows:
        source = review.original(row, "source")
        name = review.original(row, "landmark") or (position_by(source) if source else "")
        status = review.sheet.cell(row, "status")
        if name and status in (Status.WOULD_TAG, Status.TAGGED) and not review.decision(row):
            open_rows.setdefault(name, []).append(row)
    if not open_rows:
        return
    st.subheader("Accept by landmark or source")
    names = sorted(open_rows, key=lambda name: -len(open_rows[name]))
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    name = left.selectbox(
        "Landmark or source to accept", names, key="bulk",
        format_func=lambda name: f"{name}: {len(open_rows[name])} to review",
    )  # fmt: skip
    right.button(
        f"Accept {photos(len(open_rows[name]))}", type="primary", width="stretch",
        key="bulk_accept", on_click=_accept, args=(review, open_rows[name]),
    )  # fmt: skip


def _accept(review: Review, rows: list[int]) -> None:
    try:
        review.decide(rows, Decision(Verdict.ACCEPT))
    except RunError as error:
        st.session_state.message = str(error)
