"""The view that writes what was reviewed into the photos."""

import shlex
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from tagger.records import Status
from tagger.review import writeback
from tagger.review.decision import Verdict
from tagger.review.options import AppOptions
from tagger.review.pages import style
from tagger.review.pages.style import photos
from tagger.review.session import Review
from tagger.review.sheet import printable
from tagger.review.trusted_root import BucketRoot
from tagger.review.view import View

if TYPE_CHECKING:
    pass


def show_apply(
    review: Review, view: View, options: AppOptions, shown: NDArray[np.int64], filters: str
) -> None:
    """Write the reviewed places of the rows that the filters show into the photos."""
    rows = np.flatnonzero(view.allowed).tolist()
    every = st.toggle("Also photos that were not reviewed yet", key="every")
    open_rows = [row for row in rows if row not in review.written]
    chosen = [row for row in open_rows if every or review.decision(row)]
    among, to_write = set(shown.tolist()), writeback.to_write(review, chosen)
    hidden = [row for row in to_write if row not in among]
    if hidden and not st.toggle("Also photos that the filters hide", key="beyond"):
        to_write = [row for row in to_write if row in among]
        st.info(
            f"The filters ({style.plain(filters)}) hide {photos(len(hidden))} more, which will not "
            "be written."
        )
    st.markdown(
        f"**{photos(len(to_write))}** will get the place that the review gives. Each is checked "
        "again before it is written, and undo gives it back byte for byte."
    )
    if review.written:
        st.caption(
            f"Written already since the review started: {photos(len(review.written))}. If you "
            "undo that, start the review again to write again."
        )
    if wrong := sum(_tagged_otherwise(review, row) for row in rows):
        st.warning(
            f"Already tagged by a run, but not as you decided: {photos(wrong)}. Undo the run "
            "and make a new report with --dry-run. The runs are listed by:"
        )
        st.code(_command(options, "runs"), language="bash")
    if _confirmed(to_write):
        _write(review, to_write, options)


def _confirmed(to_write: list[int]) -> bool:
    """Whether the user pressed Write and confirmed the number of photos."""
    write = f"Write into {photos(len(to_write))}"
    if not to_write or st.session_state.get("confirming") != to_write:
        st.button(write, type="primary", disabled=not to_write, key="apply", on_click=_confirm,
                  args=(to_write,))  # fmt: skip
        return False
    st.warning(f"{photos(len(to_write))} will be changed on the disk or in the bucket.")
    with st.container(horizontal=True):
        yes = st.button(
            f"Yes, {write[0].lower()}{write[1:]}", type="primary", key="apply_confirmed"
        )
        st.button("No, change nothing", key="apply_cancelled", on_click=_confirm, args=([],))
    return yes


def _confirm(to_write: list[int]) -> None:
    st.session_state.confirming = to_write


def _write(review: Review, to_write: list[int], options: AppOptions) -> None:
    _confirm([])
    bar = st.progress(0.0, text="Writing ...")
    run_id, outcomes = writeback.write_back(
        review, to_write, options.root, options.ledger, lambda part: _move(bar, part)
    )
    bar.empty()
    counts = Counter(outcome.status for outcome in outcomes)
    st.success(f"{photos(counts[Status.TAGGED])} written, as run {run_id}. To take that back:")
    st.code(_command(options, "undo", run_id), language="bash")
    refused = [outcome for outcome in outcomes if outcome.status is not Status.TAGGED]
    if refused:
        st.warning(f"{photos(len(refused))} left unchanged:")
        reasons = [f"{printable(item.entry.key)}: {item.reason}" for item in refused[:200]]
        style.card(*map(style.note, reasons))


def _command(options: AppOptions, *words: str) -> str:
    """A command on the ledger of this review, ready for a shell."""
    ledger = ["--ledger", str(options.ledger.absolute())] if options.ledger else []
    server = options.root.endpoint_url if isinstance(options.root, BucketRoot) else ""
    where = ["--endpoint-url", server] if server and words[0] == "undo" else []
    return shlex.join(["landmark-tag", *words, *ledger, *where])


def _tagged_otherwise(review: Review, row: int) -> bool:
    """Whether the photo has a place that the decision on it does not give."""
    decision = review.decision(row)
    if row in review.written:
        return decision != review.written[row]
    tagged = review.sheet.cell(row, "status") == Status.TAGGED
    return tagged and decision is not None and decision.verdict is not Verdict.ACCEPT


def _move(bar: st.delta_generator.DeltaGenerator, part: float) -> None:
    bar.progress(part, text="Writing ...")
