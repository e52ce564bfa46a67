"""The parts of the page that are drawn in the browser: the map, the gallery, the keys."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import streamlit as st
from streamlit.components import v2

from tagger.review.lessons import Place
from tagger.review.whereabouts import Around, in_words
from tagger.review.worldmap import VIEW_BOX, asset, land

_world = v2.component(
    "landmark_tag_world",
    html='<div class="world-host"></div>',
    css=asset("map.css"),
    js=asset("map.js") + asset("component_map.js"),
)
_keys = v2.component(
    "landmark_tag_keys",
    html='<button type="button">Filters</button>',
    css=asset("keys.css"),
    js=asset("keys.js"),
)
_gallery = v2.component(
    "landmark_tag_gallery",
    html='<ul class="gallery" aria-label="Photos of this page"></ul>',
    css=asset("gallery.css"),
    js=asset("gallery.js"),
)
_around = v2.component(
    "landmark_tag_around",
    html='<div class="around"><div class="around-map"></div>'
    '<ul class="around-strip" tabindex="0" aria-label="Photos taken around this one"></ul></div>',
    css=asset("around.css"),
    js=asset("around.js"),
)


def world(
    key: str,
    places: Sequence[Place],
    zoom_to: Place | None = None,
    on_pick: Callable[[], None] | None = None,
    on_place: Callable[[], None] | None = None,
) -> Any:
    """The map; ``.pick`` of the result is the point clicked, ``.place`` the dot clicked."""
    data = {
        "land": land(),
        "viewBox": VIEW_BOX,
        "places": [asdict(place) for place in places],
        "zoomTo": asdict(zoom_to) if zoom_to else None,
        "picks": on_pick is not None,
        "chooses": on_place is not None,
    }
    return _world(
        key=key,
        data=data,
        on_pick_change=on_pick or _nothing,
        on_place_change=on_place or _nothing,
    )


def picture(jpeg: bytes, key: str) -> str:
    """The address of a picture of this page, as ``st.image`` makes one: the browser gets it once.

    Args:
        key: what no other picture of the page has; pictures of the run before are dropped.
    """
    return st.runtime.get_instance().media_file_mgr.add(jpeg, "image/jpeg", f"landmark_tag_{key}")


def gallery(key: str, cards: Sequence[dict[str, Any]], on_open: Callable[[], None]) -> Any:
    """Thumbnails to choose from; ``.open`` of the result is the row clicked."""
    return _gallery(key=key, data={"cards": list(cards)}, on_open_change=on_open)


def around(key: str, radius_m: float, photos: Sequence[Around]) -> None:
    """Where the camera was, drawn to scale, and a strip of the photos taken around it."""
    data = {
        "radius_m": radius_m,
        "photos": [asdict(photo) for photo in photos],
        "words": in_words(radius_m, photos),
    }
    _around(key=key, data=data)


def keys(key: str) -> None:
    """The keys L and M, and a button that opens the filters, which a phone shows."""
    _keys(key=key)


def _nothing() -> None:
    """A callback for ignored events; without one they could not be sent."""
