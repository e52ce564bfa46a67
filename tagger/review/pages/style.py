"""The colours, words and small pieces of HTML that both pages share, contrast AA in both themes."""

import html
import re

import streamlit as st

from tagger.review.sheet import printable
from tagger.review.worldmap import asset
from tagger.terminal import counted

_COLOURS = {
    "light": "--card:#fff;--ink:#17202b;--soft:#55606e;--line:#c2cad3;--accent:#0b5cad;"
    "--on-accent:#fff;--focus:#0b5cad;--sea:#e3edf5;--land:#c3ccb9;--coast:#98a48b;--dot:#b3261e;"
    "--dot-edge:#fff;--good:#1b6e3c;--warn:#8a5300;--bad:#a3261d;--bar:#d9e0e8;",
    "dark": "--card:#1a212a;--ink:#e8edf3;--soft:#a9b4c1;--line:#3c4856;--accent:#7fb8f2;"
    "--on-accent:#10151b;--focus:#9ccbff;--sea:#15202c;--land:#3c4a42;--coast:#61735f;--dot:#ff9b85;"
    "--dot-edge:#10151b;--good:#7fd6a0;--warn:#f0bd6a;--bad:#ff9d94;--bar:#33404e;",
}


def inject() -> None:
    """Put the theme's colours and the shared style onto the page."""
    theme = "dark" if st.context.theme.type == "dark" else "light"
    st.html(f"<style>:root{{{_COLOURS[theme]}}}{asset('app.css')}</style>")


def plain(text: str) -> str:
    """Text from a report or a file name as Markdown that shows it as it is and fetches nothing."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", printable(" ".join(text.split())))


def _shown(text: str) -> str:
    return html.escape(printable(text))


def verdict(kind: str, text: str) -> str:
    """One line with a coloured dot; ``kind`` is good, warn, bad or soft."""
    return f'<p class="lt-verdict lt-{kind}">{_shown(text)}</p>'


def bars(rows: list[tuple[str, float]], none: float | None = None) -> str:
    """Names with their probabilities as bars, which a screen reader reads as text."""
    entries = [(name, share, "") for name, share in rows]
    if none is not None:
        entries.append(("No known landmark", none, " lt-none"))
        entries.sort(key=lambda row: -row[1])
    return "".join(_bar(*row) for row in entries)


def _bar(name: str, share: float, kind: str) -> str:
    percent = f"{100 * share:.0f} %" if share >= 0.005 or share == 0 else "< 1 %"
    return (
        f'<div class="lt-row{kind}"><div class="lt-name"><span>{_shown(name)}</span>'
        f'<span>{percent}</span></div><div class="lt-bar" aria-hidden="true">'
        f'<span style="width:{100 * share:.1f}%"></span></div></div>'
    )


def table(title: str, rows: list[tuple[str, str]]) -> str:
    """A small table of names and texts, escaped; nothing where there are no rows."""
    if not rows:
        return ""
    body = "".join(
        f'<tr><th scope="row">{_shown(name)}</th><td>{_shown(text)}</td></tr>'
        for name, text in rows
    )
    return f'<table class="lt-table"><caption>{_shown(title)}</caption>{body}</table>'


def card(*parts: str) -> None:
    """A panel of ready HTML; whatever comes from files must be escaped already."""
    st.html(f'<div class="lt-card">{"".join(parts)}</div>')


def note(text: str) -> str:
    """One quiet line, escaped."""
    return f"<p>{_shown(text)}</p>" if text else ""


def lines(title: str, *texts: str) -> str:
    """A heading and lines below it, escaped; empty ones are left out."""
    return f"<h2>{_shown(title)}</h2>{''.join(map(note, texts))}"


def photos(count: int) -> str:
    """A count of photos, in words."""
    return counted(count, "photo")
