"""Starting the app: on this machine only unless --address is given, and without telemetry."""

import secrets
import socket
import webbrowser
from pathlib import Path

from tagger.errors import RunError
from tagger.review.guard import Guard, names_for
from tagger.review.options import AppOptions, configure
from tagger.system import share_address

_LIGHT = {
    "primaryColor": "#0b5cad", "backgroundColor": "#f6f7f9", "textColor": "#17202b",
    "secondaryBackgroundColor": "#ffffff", "borderColor": "#c2cad3",
}  # fmt: skip
_DARK = {
    "primaryColor": "#7fb8f2", "backgroundColor": "#10151b", "textColor": "#e8edf3",
    "secondaryBackgroundColor": "#1a212a", "borderColor": "#3c4856",
}  # fmt: skip


def serve(options: AppOptions, address: str, port: int, browser: bool) -> str:
    """Run the app until it is stopped; prints nothing but the address.

    Raises:
        RunError: streamlit is not installed, or the port is taken.
    """
    try:
        import streamlit
        from starlette.middleware import Middleware
    except ImportError as error:
        raise RunError(
            "the review needs the extra app; install it: pip install 'landmark-tag[app]'"
        ) from error
    _check_port(address, port)
    configure(options)
    from tagger.review.pages import review_page

    # Read before the address is printed, so that the first page finds it ready.
    review = review_page.opened(options.report, options.root)[0] if options.report else None
    token = secrets.token_urlsafe(24)
    shown = f"[{address}]" if ":" in address else address
    url = f"http://{shown}:{port}/?token={token}"
    print(f"landmark-tag: {url}  (Ctrl-C stops)", flush=True)
    if browser:
        webbrowser.open(url)
    page = Path(streamlit.__file__).with_name("static") / "index.html"
    guard = Middleware(
        Guard, token=token, names=names_for(address), page=page.read_text(encoding="utf-8")
    )
    app = streamlit.App(Path(__file__).with_name("pages") / "app.py", middleware=[guard])
    try:
        app.run(config=_flags(address, port))
    finally:
        if review:
            review.close()
    return url


def _flags(address: str, port: int) -> dict[str, object]:
    """Streamlit's options, as its command line would give them."""
    flags: dict[str, object] = {
        "server.address": address,
        "server.port": port,
        "server.headless": True,
        "server.fileWatcherType": "none",
        "server.maxUploadSize": 1024,
        "server.enableStaticServing": False,
        "server.allowedHosts": sorted(names_for(address)),
        "browser.gatherUsageStats": False,
        "browser.serverAddress": address,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "type",
        "client.showErrorLinks": False,
        "theme.baseRadius": "10px",
        "logger.level": "error",
        "logger.hideWelcomeMessage": True,
        "global.developmentMode": False,
    }
    for name, colours in (("light", _LIGHT), ("dark", _DARK)):
        flags |= {f"theme.{name}.{key}": value for key, value in colours.items()}
    return flags


def _check_port(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            share_address(probe)
            probe.bind((address, port))
    except OSError as error:
        raise RunError(
            f"--address {address} --port {port}: cannot be used ({error.strerror}); "
            "choose another port"
        ) from error
