"""Moto's S3 server that notes each request and can be told to fail; run it with a port.

GET /-/requests gives what was asked since the last time, PUT /-/throttle the part of requests to
answer with 503 from now on.
"""

import json
import random
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple

SLOW_DOWN = (
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)


class Noting:
    """A WSGI application around moto's."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock, self._noted = threading.Lock(), list[dict[str, Any]]()
        self._throttle, self._chance = 0.0, random.Random(1)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/-/"):
            return self._control(path, environ, start)
        note = {
            "method": environ["REQUEST_METHOD"], "query": environ.get("QUERY_STRING", ""),
            "key": unquote(path.encode("latin-1").decode("utf-8", "replace")),
            "range": environ.get("HTTP_RANGE", ""), "bytes": 0, "status": 503,
        }  # fmt: skip
        with self._lock:
            self._noted.append(note)
            throttled = self._chance.random() < self._throttle
        if throttled:
            start("503 Slow Down", [("Content-Type", "application/xml")])
            return [SLOW_DOWN]

        def answer(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            length = {name.lower(): value for name, value in headers}.get("content-length", "0")
            note.update(status=int(status[:3]), bytes=int(length))
            return start(status, headers, *rest)

        return self._moto(environ, answer)

    def _control(self, path: str, environ: Any, start: Callable[..., Any]) -> list[bytes]:
        with self._lock:
            if path == "/-/throttle":
                length = int(environ["CONTENT_LENGTH"])
                self._throttle = float(environ["wsgi.input"].read(length))
            noted, self._noted = self._noted, []
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(noted).encode()]


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *args: Any) -> None: ...


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), Noting(), threaded=True, request_handler=Quiet)
