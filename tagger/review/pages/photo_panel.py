"""The current photo: the tool's answer, and the keys to decide on it."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from tagger.errors import PhotoError, RunError
from tagger.records import Status
from tagger.review import thumbnails, whereabouts
from tagger.review.decision import REVIEWABLE, Decision, Verdict, parse_place
from tagger.review.lessons import Place, places
from tagger.review.options import AppOptions
from tagger.review.pages import style
from tagger.review.pages.components import around, world
from tagger.review.session import Review
from tagger.review.sheet import number, printable
from tagger.review.trusted_root import Root, relative

_TONES = {"tagged": "good", "would_tag": "good", "unsure": "warn", "no_landmark": "soft",
          "has_gps": "soft"}  # fmt: skip
_SAID = {
    Verdict.ACCEPT: ("good", "You accepted it"),
    Verdict.REJECT: ("bad", "You rejected it"),
    Verdict.LANDMARK: ("warn", "You named it"),
    Verdict.PLACE: ("warn", "You placed it"),
}


def show_photo(
    review: Review, options: AppOptions, order: list[int], place: int, alike: list[int]
) -> None:
    """Draw the photo at ``order[place]`` with its buttons; ``alike`` are its near-duplicates."""
    row, root = order[place], options.root
    strip = whereabouts.around(review.sheet, row, root, options.ledger)
    with st.container(key="photo_part"):
        _picture(review, row, root)
        if strip:
            with st.container(key="around_part"):
                around(f"around_{row}", *strip)
                if not strip[1]:
                    style.card(style.note(whereabouts.NONE_AROUND.capitalize()))
    with st.container(key="facts_part", gap="small"):
        _facts(review, row, root)
        can = review.sheet.cell(row, "status") in REVIEWABLE
        _verdict_buttons(review, order, place, can)
        _move_buttons(review, order, place)
        if can:
            _others(review, order, place, alike)


def _picture(review: Review, row: int, root: Root) -> None:
    path = review.sheet.photo(row)
    try:
        st.image(thumbnails.large_of(path, root), width="stretch", alt=Path(printable(path)).name)
    except PhotoError as error:
        style.card(style.lines("Not shown", str(error)))


def _facts(review: Review, row: int, root: Root) -> None:
    def cell(name: str) -> str:
        return review.sheet.cell(row, name)

    status = cell("status")
    shares = [
        (review.original(row, name), number(cell(confidence)))
        for name, confidence in (
            ("landmark", "confidence"), ("second", "second_confidence"),
            ("third", "third_confidence"),
        )
    ]  # fmt: skip
    decision = review.decision(row)
    tone, words = _SAID[decision.verdict] if decision else (_TONES.get(status, "bad"), "")
    if decision and decision.verdict is Verdict.REJECT and status == Status.NO_LANDMARK:
        tone, words = "soft", "You agreed: no landmark"
    place = ", ".join(filter(None, (cell("city"), cell("country"))))
    style.card(
        style.verdict(tone, words or status.replace("_", " ").capitalize()),
        style.lines(
            review.sheet.headline(row),
            place,
            *whereabouts.words(cell("source"), cell("radius_m"), ""),
            *([] if cell("evidence") and cell("evidence") in cell("reason") else [cell("reason")]),
        ),
        style.bars([(name, share) for name, share in shares if name and share is not None]),
        style.table("What each source says", whereabouts.answers(review, row)),
        style.note(printable(relative(review.sheet.photo(row), root))),
    )


def _verdict_buttons(review: Review, order: list[int], place: int, can: bool) -> None:
    row = order[place]
    named = bool(review.original(row, "landmark"))
    # Agreeing that there is no landmark must not write the guess that the tool itself dismissed.
    dismissed = review.sheet.cell(row, "status") == Status.NO_LANDMARK
    agreed, meaning = (
        (Decision(Verdict.REJECT), "No landmark: write no place")
        if dismissed
        else (Decision(Verdict.ACCEPT), "The landmark is right" if named else "It was taken there")
    )
    placed = bool(whereabouts.source_of(review.original(row, "source")))
    one, two = st.container(key="verdict_row").columns(2)
    one.button("Accept", shortcut="A", type="primary", width="stretch", key="accept",
               disabled=not (can and (named or placed or dismissed)), help=meaning,
               on_click=decide, args=(review, order, place, agreed))  # fmt: skip
    two.button("Reject", shortcut="X", width="stretch", key="reject", disabled=not can,
               help="It is not that: write no place",
               on_click=decide, args=(review, order, place, Decision(Verdict.REJECT)))  # fmt: skip
    slugs = {landmark.name: slug for slug, landmark in review.landmarks.items()}
    guesses = (("landmark", "1"), ("second", "2"), ("third", "3"))
    for column, key in guesses if dismissed else guesses[1:]:
        name = review.original(row, column)
        if name in slugs:
            choice = Decision(Verdict.LANDMARK, slugs[name])
            st.button(f"It is {name}", shortcut=key, width="stretch", key=column, disabled=not can,
                      on_click=decide, args=(review, order, place, choice))  # fmt: skip


def _move_buttons(review: Review, order: list[int], place: int) -> None:
    back, on, undo = st.container(key="move_row").columns(3, gap="small")
    back.button("Back", shortcut="Left", width="stretch", key="back", disabled=place == 0,
                on_click=_go, args=(order, place - 1))  # fmt: skip
    on.button("Next", shortcut="Right", width="stretch", key="next",
              disabled=place + 1 >= len(order), on_click=_go, args=(order, place + 1))  # fmt: skip
    undo.button("Undo", shortcut="U", width="stretch", key="undo", on_click=_undo, args=(review,),
                help="Take back the last decision", disabled=not review.decisions)  # fmt: skip


def _others(review: Review, order: list[int], place: int, alike: list[int]) -> None:
    row = order[place]
    guess = _claimed(review, row)
    same = [other for other in alike if _claimed(review, other) == guess]
    if guess and len(same) > 1:
        st.button(f"Accept all {len(same)} that look alike", width="stretch", key="accept_alike",
                  on_click=_accept_all, args=(review, same, order, place))  # fmt: skip
    names = {landmark.name: slug for slug, landmark in sorted(review.landmarks.items())}

    def named() -> None:
        if name := st.session_state[f"other_{row}"]:
            decide(review, order, place, Decision(Verdict.LANDMARK, names[name]))

    with st.container(key="other_landmark"):
        st.selectbox("Another landmark (key L)", sorted(names), index=None, key=f"other_{row}",
                     placeholder="type its name, Enter saves it", on_change=named)  # fmt: skip
    with st.container(key="other_place"), st.expander("A place on the map (key M)"):
        _place_form(review, order, place)


def _claimed(review: Review, row: int) -> str:
    """The guess that a row stands for; empty where the tool itself dismissed it."""
    status = review.sheet.cell(row, "status")
    able = status in REVIEWABLE and status != Status.NO_LANDMARK
    return review.original(row, "landmark") if able else ""


def _place_form(review: Review, order: list[int], place: int) -> None:
    row = order[place]
    key, map_key = f"point_{row}", f"pick_{row}"

    def picked() -> None:
        if point := st.session_state[map_key].get("pick"):
            st.session_state[key] = f"{point['latitude']:.5f}, {point['longitude']:.5f}"

    typed = str(st.session_state.get(key, ""))
    shown = places(review, [row])
    if typed:
        try:
            shown = [Place("Chosen place", *parse_place(typed), 1)]
        except RunError as error:
            st.error(style.plain(str(error)))
    world(map_key, shown, on_pick=picked)
    st.text_input(
        "Latitude, longitude", key=key, placeholder="click the map, or type 48.858, 2.294"
    )
    name = st.text_input("Name of the place", key=f"name_{row}")
    if typed and name:
        st.button("Save place", key="save_place", width="stretch",
                  on_click=_decide_place, args=(review, order, place, typed, name))  # fmt: skip


def decide(review: Review, order: list[int], place: int, decision: Decision) -> None:
    """Keep the decision on the photo that the button was drawn for, and go on to the next."""
    _done(lambda: review.decide([order[place]], decision))
    _go(order, place + 1)


def _decide_place(review: Review, order: list[int], place: int, point: str, name: str) -> None:
    def keep_it() -> None:
        review.decide([order[place]], Decision(Verdict.PLACE, "", *parse_place(point), name))

    if _done(keep_it):
        _go(order, place + 1)


def _accept_all(review: Review, rows: list[int], order: list[int], place: int) -> None:
    """Accept the rows, and go on to the next other one, which may look like them."""
    _done(lambda: review.decide(rows, Decision(Verdict.ACCEPT)))
    accepted = set(rows)
    _go(order, next((n for n in range(place, len(order)) if order[n] not in accepted), len(order)))


def _undo(review: Review) -> None:
    def back() -> None:
        if rows := review.undo():
            st.session_state.current = rows[0]

    _done(back)


def _go(order: list[int], place: int) -> None:
    st.session_state.current = order[max(0, min(place, len(order) - 1))]


def _done(action: Callable[[], None]) -> bool:
    """Do it; an error is shown at the top of the page by the run that follows."""
    try:
        action()
    except RunError as error:
        st.session_state.message = str(error)
        return False
    return True
