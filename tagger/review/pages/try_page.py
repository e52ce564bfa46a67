"""The Try page: what the tool would do with a photo, before it runs over a library."""

import hashlib
import html
from pathlib import Path

import streamlit as st

from tagger.errors import PhotoError
from tagger.model.lazy import LazyClassifier
from tagger.records import Landmark, Outcome, Status
from tagger.review import thumbnails, trial
from tagger.review.lessons import Place
from tagger.review.options import AppOptions
from tagger.review.pages import style
from tagger.review.pages.components import world
from tagger.storage.suffixes import PHOTO_SUFFIXES, suffix

_WORDS = {
    Status.WOULD_TAG: ("good", "Would be tagged"),
    Status.HAS_GPS: ("soft", "Has a position already, left alone"),
    Status.UNSURE: ("warn", "Unsure, left alone"),
    Status.NO_LANDMARK: ("soft", "No known landmark here, left alone"),
    Status.UNREADABLE: ("bad", "Cannot be read"),
    Status.UNSUPPORTED: ("bad", "Not supported"),
}


@st.cache_resource(show_spinner="Loading the model ...")
def _classifier(path: Path) -> LazyClassifier:
    classifier = LazyClassifier(path)
    classifier.load()
    return classifier


def show(options: AppOptions) -> None:
    st.title("Try a photo")
    st.markdown("Nothing leaves this machine, and nothing is written into your file.")
    left, right = st.columns([3, 2], gap="medium")
    uploads = left.file_uploader("Photos", accept_multiple_files=True, key="uploads")
    samples = _samples(options.samples)
    chosen = right.selectbox(
        "Or a sample", list(samples), index=None, placeholder="choose one", key="sample"
    )
    min_conf = right.slider(
        "Tag at a confidence of at least", 0.0, 1.0, options.min_conf, 0.01, key="min_conf",
        help="The same as --min-conf of the command",
    )  # fmt: skip
    photos = [(upload.name, upload.getvalue()) for upload in uploads]
    if chosen and not photos:
        photos = [(chosen, samples[chosen].read_bytes())]
    if not photos:
        st.info("Drop one or several photos above, or choose a sample.")
        return
    classifier = _classifier(options.model)
    for number, (name, data) in enumerate(photos):
        _result(classifier, Path(name).name, data, min_conf, number)


def _samples(folder: Path | None) -> dict[str, Path]:
    if folder is None or not folder.is_dir():
        return {}
    files = sorted(folder.iterdir())
    photos = (file for file in files if suffix(file.name) in PHOTO_SUFFIXES and file.is_file())
    return {file.name: file for file in photos}


def _result(
    classifier: LazyClassifier, name: str, data: bytes, min_conf: float, number: int
) -> None:
    with st.spinner(f"Looking at {style.plain(name)} ..."):
        outcome = trial.attempt(name, data, classifier, min_conf)
    kind, words = _WORDS.get(outcome.status, ("bad", outcome.status.value))
    st.divider()
    left, right = st.columns(2, gap="medium")
    with left:
        _photo(name, data)
    with right:
        parts = [style.verdict(kind, words), style.lines(_title(outcome, classifier), name,
                                                         _because(outcome))]  # fmt: skip
        if outcome.guess:
            shares = [
                (classifier.landmarks[slug].name, share) for slug, share in outcome.guess.candidates
            ]
            parts.append(style.bars(shares, outcome.guess.none))
        style.card(*parts)
        _download(outcome, data, classifier.sha256, number)
    if outcome.landmark:
        _place(outcome.landmark, number)


def _title(outcome: Outcome, classifier: LazyClassifier) -> str:
    if outcome.landmark:
        return outcome.landmark.name
    if outcome.guess and outcome.status is Status.UNSURE:
        return f"Perhaps {classifier.landmarks[outcome.guess.best.slug].name}"
    return "No landmark here" if outcome.guess else "Not checked"


def _because(outcome: Outcome) -> str:
    return f"Rule: {outcome.reason}" if outcome.guess else outcome.reason


def _photo(name: str, data: bytes) -> None:
    try:
        st.image(thumbnails.thumbnail(data, 1200), width="stretch", alt=name)
    except PhotoError:
        style.card(style.lines("No preview", f"{name} cannot be shown as a picture."))


def _download(outcome: Outcome, data: bytes, model_sha256: str, number: int) -> None:
    try:
        made = trial.tagged(outcome, data, model_sha256)
    except PhotoError as error:
        st.caption(f"No tagged photo: {style.plain(str(error))}")
        return
    if made is None:
        return
    if made.why:
        st.caption(style.plain(made.why))
    what = "sidecar" if made.why else "tagged photo"
    digest = hashlib.sha256(made.data).hexdigest()[:8]
    st.download_button(
        f"Download the {what}", made.data, made.name, on_click="ignore", width="stretch",
        key=f"download_{number}_{digest}", icon=":material/download:",
    )  # fmt: skip


def _place(landmark: Landmark, number: int) -> None:
    point = Place(landmark.name, landmark.latitude, landmark.longitude, 1)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        world(f"place_{number}", [point], zoom_to=point)
    with right:
        local = landmark.local_name if landmark.local_name != landmark.name else ""
        where = ", ".join(filter(None, (landmark.city, landmark.region, landmark.country)))
        position = f"{landmark.latitude:.5f}, {landmark.longitude:.5f}, within "
        position += f"{landmark.radius_m:,} m"
        link = ""
        if landmark.wikidata:
            url = html.escape(f"https://www.wikidata.org/wiki/{landmark.wikidata}")
            link = (
                f'<p><a href="{url}" target="_blank" rel="noopener noreferrer">Wikidata '
                f"{html.escape(landmark.wikidata)}</a> (opens the web)</p>"
            )
        style.card(style.lines(landmark.name, local, where, position), link)
