"""The review's server accepts its own page with its token, and nothing else."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest

pytest.importorskip("streamlit")
from tagger.review.guard import Guard, names_for

TOKEN = "a-secret"
OURS = {"host": "127.0.0.1:8501"}
KEPT = OURS | {"cookie": f"other=1; landmark-tag-8501={TOKEN}"}
PAGE = "<head><script>one()</script><script type=module src=x></script></head>"


Message = MutableMapping[str, Any]


def ask(
    headers: dict[str, str], path: str = "/", query: str = "", kind: str = "http",
    method: str = "GET", address: str = "127.0.0.1",
) -> tuple[int, dict[str, str], bool]:  # fmt: skip
    """The status (of a web socket: 101 or its close code), the headers, and whether the app ran."""
    sent, reached = list[Message](), list[str]()

    async def app(
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        reached.append(scope["path"])
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200,
                        "headers": [(b"Cache-Control", b"public")]})  # fmt: skip
            await send({"type": "http.response.body", "body": b"ok"})
        else:
            await send({"type": "websocket.accept"})

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    lines = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope: Message = {"type": kind, "path": path, "query_string": query.encode(), "method": method}
    scope["headers"] = lines
    asyncio.run(Guard(app, TOKEN, names_for(address), PAGE)(scope, receive, send))
    status: int = sent[0].get("status") or sent[0].get("code", 101)
    answered = {name.decode().lower(): value.decode() for name, value in sent[0].get("headers", [])}
    return status, answered, bool(reached)


def test_the_token_in_the_address_becomes_a_cookie() -> None:
    status, headers, reached = ask(OURS, "/try", f"photo=3&token={TOKEN}&folder=a%26b")
    assert (status, reached, headers["location"]) == (303, False, "/try?photo=3&folder=a%26b")
    cookie = headers["set-cookie"]
    assert cookie == f"landmark-tag-8501={TOKEN}; Path=/; HttpOnly; SameSite=Lax"
    assert ask(KEPT)[0] == 200
    elsewhere = ask(OURS, "//evil.test\r\nx: y", f"token={TOKEN}")[1]["location"]
    assert elsewhere == "/evil.test%0D%0Ax%3A%20y"


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    "change",
    [{"cookie": ""}, {"cookie": "landmark-tag-8501=guess"}, {"cookie": f"landmark-tag-1={TOKEN}"},
     {"host": "evil.test:8501"}, {"host": "127.0.0.1.evil.test"}, {"host": ""},
     {"host": "evil@127.0.0.1:8501"}, {"origin": "http://evil.test"}, {"origin": "null"},
     {"origin": "http://127.0.0.1:3000"}, {"origin": "https://127.0.0.1:8501"},
     {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
     {"sec-fetch-site": "same-site", "sec-fetch-mode": "websocket", "sec-fetch-dest": "websocket"},
     {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}],
)  # fmt: skip
def test_nobody_else_gets_in(change: dict[str, str], kind: str) -> None:
    origin = {"origin": "http://127.0.0.1:8501"} if kind == "websocket" else {}
    assert ask(KEPT | origin, "/_stcore/stream", kind=kind)[2]
    status, _, reached = ask(KEPT | origin | change, "/_stcore/stream", kind=kind)
    assert (status, reached) == (403 if kind == "http" else 1008, False)


def test_a_socket_without_an_origin_is_no_page() -> None:
    assert ask(KEPT, "/_stcore/stream", kind="websocket")[::2] == (1008, False)


def test_a_link_elsewhere_may_open_the_page_and_do_nothing_more() -> None:
    opened = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    opened |= {"sec-fetch-dest": "document"}
    assert ask(KEPT | opened)[0] == 200
    assert ask(KEPT | opened, method="POST")[0] == 403


def test_no_other_page_may_frame_it_or_run_scripts_in_it() -> None:
    for status, headers, _ in (ask(KEPT), ask(OURS)):
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy["frame-ancestors"] == policy["object-src"] == "'none'"
        assert "unsafe" not in policy["script-src"] and "*" not in "".join(policy.values())
        assert headers["x-frame-options"] == "DENY"
        if (
            status == 200
        ):  # the digest of "one()", as `openssl dgst -sha256 -binary | base64` has it
            assert "'sha256-HR7iaask9daLMRRskMI++QeJtjWDOjyPA6lGzYGzKW4='" in policy["script-src"]
            assert headers["cache-control"] == "public"


def test_on_all_addresses_it_answers_to_figures_and_its_own_name() -> None:
    import socket

    def status(host: str) -> int:
        cookie = f"landmark-tag-{host.rpartition(':')[2] if host[-1:].isdigit() else ''}={TOKEN}"
        return ask({"host": host, "cookie": cookie}, address="0.0.0.0")[0]

    for host in ("192.168.1.5:8501", "[fe80::1]:8501", f"{socket.gethostname()}:8501"):
        assert status(host) == 200
    assert status("evil.test:8501") == 403
    assert ask({"host": "192.168.1.5:8501"} | KEPT | {"host": "192.168.1.5:8501"})[0] == 403


def test_only_that_it_runs_is_told_to_anybody() -> None:
    assert ask(OURS, "/_stcore/health")[0] == 200
    for path in ("/", "/_stcore/host-config", "/_stcore/script-health-check", "/media/a.jpg",
                 "/_stcore/upload_file/a/b", "/static/js/x.js"):  # fmt: skip
        assert ask(OURS, path)[0] == 403
    assert ask({"host": "evil.test"}, "/_stcore/health")[0] == 403
