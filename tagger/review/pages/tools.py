"""The views beside the photos: the map, what the review teaches, and Apply."""

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from tagger.errors import RunError
from tagger.records import Landmark, Status
from tagger.review import lessons, teaching, writeback
from tagger.review.calibration import bands, suggest
from tagger.review.decision import Decision, Verdict
from tagger.review.options import AppOptions
from tagger.review.pages import style
from tagger.review.pages.components import world
from tagger.review.session import Review
from tagger.review.sheet import position_by, printable
from tagger.review.trusted_root import BucketRoot, Root
from tagger.review.view import View
from tagger.terminal import counted

if TYPE_CHECKING:
    from tagger.model.classifier import Classifier

# What python -m train asks for of each class.
_TO_TRAIN = 10
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


def show_lessons(review: Review, root: Root) -> None:
    """Accuracy by confidence, the threshold for a precision, and the export."""
    judged = lessons.judged(review)
    st.subheader("Is the confidence honest on your photos?")
    if not judged:
        st.info("Review some photos first: accept, reject or name them.")
        return
    table = [
        {
            "Confidence": f"{100 * band.low:.0f} to {100 * band.high:.0f} %",
            "Reviewed": band.count,
            "Right": band.right,
            "Tool said": f"{100 * band.mean_confidence:.0f} %",
            "Was right": f"{100 * band.right / band.count:.0f} %",
            "True share, probably": f"{100 * band.least:.0f} to {100 * band.most:.0f} %",
        }
        for band in bands(judged)
    ]
    st.table(table)
    st.caption(
        f"From {len(judged):,} reviewed photos that had a guess. The last column is where the "
        "share of right guesses among all such photos lies, with a probability of 95 % (Wilson's "
        "interval): the more you review, the narrower it is. A fair picture needs photos reviewed "
        "without picking: whole folders, or bands, rather than doubtful ones alone."
    )
    st.subheader("Which --min-conf gives the precision you want?")
    wanted = st.slider("Precision wanted, %", 50, 100, 95, key="precision")
    advice = suggest(judged, wanted / 100)
    if advice is None:
        st.warning(f"No threshold reaches {wanted} % on the rows reviewed so far.")
    else:
        st.success(
            f"**--min-conf {advice.threshold:.2f}**: {100 * advice.precision:.1f} % of "
            f"{advice.count:,} reviewed rows at or above it were right; with 95 % certainty the "
            f"true figure lies between {100 * advice.least:.1f} and {100 * advice.most:.1f} %."
        )
        if not advice.proven:
            st.caption(f"Not proven yet: the lower figure is below {wanted} %. Review more rows.")
    _export(review, root)


def _export(review: Review, root: Root) -> None:
    st.subheader("Train on what you reviewed")
    folder = st.text_input(
        "Folder for the export", str(review.sheet.path.absolute().with_name("reviewed_photos"))
    )
    if st.button("Export named photos", key="export"):
        place = Path(folder).expanduser().absolute()
        try:
            counts = lessons.export(review, root, place)
            none = lessons.export_negatives(review, root, place / "negatives")
        except RunError as error:
            st.error(style.plain(str(error)))
            return
        st.success(
            f"{photos(sum(counts.values()))} by landmark in {style.plain(str(place))}/train, and "
            f"{photos(none)} without a landmark in {style.plain(str(place))}/negatives"
        )
        words = ["--data", str(place), "--negatives", str(place / "negatives")]
        st.code(shlex.join(["python", "-m", "train", "transfer", *words]), language="bash")
        if len(counts) < 2 or min(counts.values(), default=0) < _TO_TRAIN or none < _TO_TRAIN:
            st.caption(
                f"Training needs {_TO_TRAIN} photos or more of each of at least two landmarks, and "
                "of none: accept or name more, or name another folder of photos without landmarks."
            )


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


def photos(count: int) -> str:
    return counted(count, "photo")
