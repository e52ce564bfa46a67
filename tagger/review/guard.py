"""Who may talk to the app's server: this page, on this machine's names, with the token."""

import hmac
import ipaddress
import re
import socket
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Answered without the token: it reveals only that the server runs.
_HEALTH = "/_stcore/health"
_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
# blob: is how streamlit starts the script of a component.
_POLICY = (
    "default-src 'self'; script-src 'self' blob:{scripts}; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'{socket}; object-src "
    "'none'; base-uri 'none'; form-action 'self'; frame-src 'none'; frame-ancestors 'none'"
)
_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_HEADERS = {
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
    "content='width=device-width'><title>landmark-tag</title><p>{}</p></html>"
)


class Guard:
    """ASGI middleware around all that streamlit serves, pages and web socket alike.

    1. The Host header is a name of this machine: another site's name that is made to point here
       (DNS rebinding) is not.
    2. An Origin header is that of this page, and a request that another site starts
       (Sec-Fetch-Site) only opens the page.
    3. The token comes as ``?token=`` once, and as a cookie from then on.

    Args:
        app: what is guarded.
        token: the secret of this run.
        names: hosts that the server answers to; empty for any address in figures, and this
            machine's own names.
        page: the HTML that streamlit serves; no inline script but those in it runs.
    """

    def __init__(self, app: "ASGIApp", token: str, names: Iterable[str], page: str = "") -> None:
        self._app, self._token, self._names = app, token, frozenset(names)
        self._scripts = "".join(f" '{_digest(script)}'" for script in _INLINE.findall(page))

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1")
                   for name, value in scope["headers"]}  # fmt: skip
        host = headers.get("host", "")
        if not (self._is_ours(host) and _is_of_page(headers, scope)):
            await _refuse(scope, receive, send, "Another site may not use this page.")
            return
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        cookie = f"landmark-tag-{host.rpartition(':')[2] if host[-1:].isdigit() else ''}"
        stated = dict(query).get("token", "")
        if scope["type"] == "http" and scope["method"] == "GET" and self._fits(stated):
            rest = urlencode([(name, value) for name, value in query if name != "token"])
            # One slash: a path that begins with two would be another host's address.
            place = "/" + quote(scope["path"].lstrip("/")) + (f"?{rest}" if rest else "")
            kept = f"{cookie}={self._token}; Path=/; HttpOnly; SameSite=Lax"
            await _answer(send, 303, "", {"location": place, "set-cookie": kept})
        elif self._fits(_cookie(headers, cookie)) or scope["path"] == _HEALTH:
            await self._app(scope, receive, self._hardened(send, host))
        else:
            words = "This page needs the address with its token, as <code>landmark-tag review"
            await _refuse(scope, receive, send, f"{words}</code> printed it.")

    def _hardened(self, send: "Send", host: str) -> "Send":
        """``send`` that adds what keeps other sites and injected text from doing anything."""

        async def sender(message: "Message") -> None:
            if message["type"] == "http.response.start":
                names = {name.lower() for name, _ in message["headers"]}
                added = [line for line in _lines(host, self._scripts) if line[0] not in names]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        return sender

    def _fits(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.encode())

    def _is_ours(self, host: str) -> bool:
        match = re.fullmatch(r"\[([0-9a-fA-F:.]+)\](?::\d+)?|([^:\[\]/@\s]+)(?::\d+)?", host)
        name = (match[1] or match[2]).casefold().rstrip(".") if match else ""
        if self._names:
            return name in self._names
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in _own_names()
        return True


def names_for(address: str) -> frozenset[str]:
    """The hosts that a server bound to ``address`` answers to; empty where it has many."""
    return _NAMES if address in _NAMES else frozenset()


def _own_names() -> set[str]:
    name = socket.gethostname().casefold()
    return {*_NAMES, name, f"{name.partition('.')[0]}.local", socket.getfqdn().casefold()}


def _is_of_page(headers: dict[str, str], scope: "Scope") -> bool:
    """Whether the request comes from the page itself or a user, not from another site's script."""
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{headers.get('host')}":
        return False
    if headers.get("sec-fetch-site", "none") in ("same-origin", "none"):
        return origin is not None or scope["type"] == "http"
    opens = headers.get("sec-fetch-mode") == "navigate"
    return opens and headers.get("sec-fetch-dest") == "document" and scope["method"] == "GET"


def _cookie(headers: dict[str, str], name: str) -> str:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return cookie.value if cookie else ""


def _digest(script: str) -> str:
    """The name of an inline script in a content security policy (CSP level 3, 8.3)."""
    return f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}"


def _lines(host: str = "", scripts: str = "") -> list[tuple[bytes, bytes]]:
    # Named beside 'self', which older browsers do not take to cover web sockets.
    policy = _POLICY.format(scripts=scripts, socket=f" ws://{host}" if host else "")
    return [(name.encode(), value.encode())
            for name, value in {**_HEADERS, "content-security-policy": policy}.items()]  # fmt: skip


async def _refuse(scope: "Scope", receive: "Receive", send: "Send", words: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
    else:
        await _answer(send, 403, _PAGE.format(words), {})


async def _answer(send: "Send", status: int, body: str, headers: dict[str, str]) -> None:
    own = {"content-type": "text/html; charset=utf-8", **headers}
    lines = [(name.encode(), value.encode("latin-1")) for name, value in own.items()]
    await send({"type": "http.response.start", "status": status, "headers": [*_lines(), *lines]})
    await send({"type": "http.response.body", "body": body.encode()})
