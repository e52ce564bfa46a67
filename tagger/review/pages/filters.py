"""The filters at the left of the Review page."""

import streamlit as st

from tagger.records import Source
from tagger.review.sheet import printable
from tagger.review.view import Filter, Order, Progress, View


def filters(view: View) -> tuple[Filter, bool]:
    """What is to be shown, and whether near-duplicates stand together."""
    st.header("Filters")
    progress = st.segmented_control(
        "Reviewed",
        list(Progress),
        default=Progress.ALL,
        key="progress",
        bind="query-params",
        on_change=_from_start,
    )
    names = {name: name.replace("_", " ") for name in view.choices("status")}
    statuses = st.multiselect(
        "Status", list(names), format_func=lambda name: names.get(name, name),
        placeholder="all", key="statuses", on_change=_from_start,
        bind="query-params",
    )  # fmt: skip
    if pending := st.session_state.pop("landmarks_wanted", None):
        st.session_state.landmarks = pending
    landmarks = st.multiselect(
        "Landmark", view.choices("landmark"), placeholder="all", key="landmarks",
        bind="query-params", on_change=_from_start,
    )  # fmt: skip
    sources = _sources(view)
    low, high = st.slider(
        "Confidence, %",
        0,
        100,
        (0, 100),
        key="confidence",
        bind="query-params",
        on_change=_from_start,
    )
    folder = st.selectbox(
        "Folder", ["", *view.choices("folder")[:1000]], key="folder",
        bind="query-params",
        format_func=lambda name: printable(name) or "all", on_change=_from_start,
    )  # fmt: skip
    order = st.selectbox(
        "Order", list(Order), key="order", bind="query-params", on_change=_from_start
    )
    together = st.toggle(
        "Near-duplicates together", key="together", bind="query-params", on_change=_from_start
    )
    return Filter(
        tuple(statuses), tuple(landmarks), low / 100, high / 100, folder or "",
        progress or Progress.ALL, order or Order.DOUBT, sources,
    ), together  # fmt: skip


def _sources(view: View) -> tuple[str, ...]:
    """What positions come from, where the report knows more than landmarks."""
    known = view.choices("source")
    if set(known) <= {Source.LANDMARK.value}:
        return ()
    if pending := st.session_state.pop("sources_wanted", None):
        st.session_state.sources = pending
    chosen = st.multiselect(
        "Position by", known, placeholder="all", key="sources", bind="query-params",
        on_change=_from_start,
    )  # fmt: skip
    return tuple(chosen)


def _from_start() -> None:
    st.session_state.pop("current", None)
