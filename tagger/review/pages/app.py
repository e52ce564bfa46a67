"""The app that streamlit runs: which page is shown. guard.py decides who may see it."""

import streamlit as st

from tagger.errors import RunError
from tagger.review import options
from tagger.review.pages import review_page, style, try_page
from tagger.review.pages.components import keys


def main() -> None:
    st.set_page_config(page_title="landmark-tag", page_icon="📍", layout="wide",
                       initial_sidebar_state=240)  # fmt: skip
    style.inject()
    pages = [st.Page(_try, title="Try", icon=":material/image_search:", url_path="try")]
    if options.current().report:
        first = st.Page(
            _review, title="Review", icon=":material/rate_review:", url_path="review", default=True
        )
        pages.insert(0, first)
    page = st.navigation(pages, position="top")
    # On a phone streamlit folds the pages and the filters away; these stay in sight there.
    with st.container(key="phone_links", horizontal=True):
        for each in pages:
            st.page_link(each)
        if page.url_path != "try":
            keys("keys")
    page.run()


def _review() -> None:
    try:
        review_page.show(options.current())
    except RunError as error:
        st.error(style.plain(str(error)))


def _try() -> None:
    try:
        try_page.show(options.current())
    except RunError as error:
        st.error(style.plain(str(error)))


main()
