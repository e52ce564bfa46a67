"""The app that streamlit runs: who may see it, and which page is shown."""

import hmac

import streamlit as st

from tagger.errors import RunError
from tagger.review import options, page_review, page_try, style


def main() -> None:
    st.set_page_config(page_title="landmark-tag", page_icon="📍", layout="wide")
    style.inject()
    if not _admitted():
        st.error("This page needs the address with its token, as `landmark-tag review` printed it.")
        st.stop()
    pages = [st.Page(_try, title="Try", icon=":material/image_search:", url_path="try")]
    if options.current().report:
        first = st.Page(
            _review, title="Review", icon=":material/rate_review:", url_path="review", default=True
        )
        pages.insert(0, first)
    st.navigation(pages, position="top").run()


def _admitted() -> bool:
    """Whether this browser brought the token; asked again for each new session."""
    token = options.current().token
    if token and not st.session_state.get("admitted"):
        given = str(st.query_params.get("token", ""))
        st.session_state.admitted = hmac.compare_digest(given.encode(), token.encode())
    if token and st.session_state.admitted:
        st.query_params["token"] = token  # so that it outlives a change of page and a reload
    return not token or bool(st.session_state.admitted)


def _review() -> None:
    try:
        page_review.show(options.current())
    except RunError as error:
        st.error(style.plain(str(error)))


def _try() -> None:
    try:
        page_try.show(options.current())
    except RunError as error:
        st.error(style.plain(str(error)))


main()
