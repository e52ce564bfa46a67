"""Moto's S3 server that notes each request and can be told to fail; run it with a port.

GET /-/requests gives what was asked since the last time, and by whose access key. PUT /-/faults
takes two parts of all requests: those answered with 503 instead of being done, and of PUTs those
answered so once done, which are noted as lost; and a text that a key must contain for either.
PUT /-/expired takes how many more requests are done before the token has expired; -1: all.
"""

import json
import random
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple

SLOW_DOWN = (
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)

EXPIRED = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>ExpiredToken</Code>'
    b"<Message>The provided token has expired.</Message></Error>"
)

FAILED = [("Content-Type", "application/xml"), ("Content-Length", str(len(SLOW_DOWN)))]


class Noting:
    """A WSGI application around moto's."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock, self._noted = threading.Lock(), list[dict[str, Any]]()
        self._left = -1
        self._faults, self._chance = (0.0, 0.0, ""), random.Random(1)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/-/"):
            return self._control(path, environ, start)
        signed = environ.get("HTTP_AUTHORIZATION", "")
        note = {
            "method": environ["REQUEST_METHOD"], "query": environ.get("QUERY_STRING", ""),
            "key": unquote(path.encode("latin-1").decode("utf-8", "replace")),
            "range": environ.get("HTTP_RANGE", ""), "bytes": 0, "status": 503, "lost": False,
            "who": signed.partition("Credential=")[2].partition("/")[0],
        }  # fmt: skip
        with self._lock:
            self._noted.append(note)
            instead, after, only = self._faults
            expired = self._left == 0
            self._left -= self._left > 0
            fate = self._chance.random() if only in note["key"] else 1.0
        if expired:
            length = "0" if note["method"] == "HEAD" else str(len(EXPIRED))
            start(
                "400 Bad Request", [("Content-Type", "application/xml"), ("Content-Length", length)]
            )
            return [] if note["method"] == "HEAD" else [EXPIRED]
        if fate < instead:
            start("503 Slow Down", FAILED)
            return [SLOW_DOWN]

        def answer(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            length = {name.lower(): value for name, value in headers}.get("content-length", "0")
            note.update(status=int(status[:3]), bytes=int(length))
            if status.startswith("200") and fate < instead + after and note["method"] == "PUT":
                lost.append(status)
                note["lost"] = True
                return None
            return start(status, headers, *rest)

        lost: list[str] = []
        done: Iterable[bytes] = self._moto(environ, answer)
        if lost:
            list(done)
            start("503 Slow Down", FAILED)
            return [SLOW_DOWN]
        return done

    def _control(self, path: str, environ: Any, start: Callable[..., Any]) -> list[bytes]:
        with self._lock:
            if path in ("/-/faults", "/-/expired"):
                orders = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
                if path == "/-/faults":
                    self._faults = orders
                else:
                    self._left = orders
                start("200 OK", [("Content-Length", "0")])
                return []
            noted, self._noted = self._noted, []
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(noted).encode()]


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *args: Any) -> None: ...


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), Noting(), threaded=True, request_handler=Quiet)
