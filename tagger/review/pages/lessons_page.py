"""The view that shows what the review teaches: honest confidence, a threshold, and an export."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from tagger.errors import RunError
from tagger.review import lessons
from tagger.review.calibration import bands, suggest
from tagger.review.pages import style
from tagger.review.pages.style import photos
from tagger.review.session import Review
from tagger.review.trusted_root import Root

if TYPE_CHECKING:
    pass

# What python -m train asks for of each class.
_TO_TRAIN = 10


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
