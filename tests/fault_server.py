"""A web server on this machine that misbehaves on demand, and keeps a list of what it was asked."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_CHUNK = 16 << 10


@dataclass
class Asked:
    """One request, and what became of it."""

    path: str
    headers: dict[str, str]
    at_s: float
    status: int = 0
    sent: int = 0

    @property
    def span(self) -> tuple[int, int | None] | None:
        """First and last position that were asked for."""
        found = _RANGE.fullmatch(self.headers.get("range", ""))
        return found and (int(found[1]), int(found[2]) if found[2] else None)


@dataclass
class Page:
    """What is served at one path.

    Attributes:
        content: The bytes.
        etag: Mark of the version, None for none.
        last_modified: Its date, None for none.
        ranges: Whether parts are given.
        faults: What goes wrong, one after the other: each request takes the first one away.
        always: What goes wrong each time, when there is no fault left.
        chunk_s: Seconds to wait after each 16 kB.
        headers: More headers.
        user: Name and password that are wanted.
        most: Answers that it gives at a time; further ones get 503.
    """

    content: bytes = b""
    etag: str | None = '"v1"'
    last_modified: str | None = None
    ranges: bool = True
    faults: list[Fault] = field(default_factory=list)
    always: Fault | None = None
    chunk_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    user: tuple[str, str] | None = None
    most: int = 99


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer.

    Attributes:
        status: Another status.
        headers: More headers.
        body: Content in place of the file's.
        drop_after: The line is cut after so many bytes.
        stall_after: Nothing more comes after so many bytes.
        length: What Content-Length says in place of the truth; -1 leaves it out.
        content_range: What Content-Range says in place of the truth; "" leaves it out.
        ignore_range: The whole file, with 200.
        extra: Bytes after the end.
        then: Called before anything is sent, with the page; it may change it.
    """

    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    drop_after: int | None = None
    stall_after: int | None = None
    length: int | None = None
    content_range: str | None = None
    ignore_range: bool = False
    extra: bytes = b""
    then: Callable[[Page], None] | None = None


class FaultServer:
    """Serves pages; use it as a context manager."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[Asked] = []
        self.release = threading.Event()
        self._http = Quiet(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._http.server_address[1]

    def __enter__(self) -> FaultServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._http.shutdown()
        self._http.server_close()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """The address of a path."""
        return f"http://{host}:{self.port}{path}"

    def serve(self, path: str, content: bytes = b"", **more: object) -> str:
        """Serve content, and return its address."""
        self.pages[path] = Page(content, **more)
        return self.url(path)

    def spans(self, path: str | None = None) -> list[tuple[int, int | None] | None]:
        """The parts that were asked for."""
        return [asked.span for asked in self.asked if path in (None, asked.path)]

    @property
    def sent(self) -> int:
        """Bytes of content that were sent."""
        return sum(asked.sent for asked in self.asked)


class Quiet(ThreadingHTTPServer):
    """A server that says nothing of clients that hang up."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing."""


def _handler(server: FaultServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.path, headers, time.monotonic())
            server.asked.append(asked)
            page = server.pages.get(self.path)
            try:
                if page is None:
                    self._send(asked, Page(), Fault(404, body=b"nothing here"))
                else:
                    self._serve(asked, page)
            except ConnectionError:
                self.close_connection = True

        def _serve(self, asked: Asked, page: Page) -> None:
            if page.user is not None:
                import base64

                wanted = base64.b64encode(":".join(page.user).encode()).decode()
                if asked.headers.get("authorization") != f"Basic {wanted}":
                    self._send(asked, page, Fault(401, body=b"who are you?"))
                    return
            if page.most < 1:
                self._send(asked, page, Fault(503))
                return
            page.most -= 1
            try:
                self._answer(asked, page)
            finally:
                page.most += 1

        def _answer(self, asked: Asked, page: Page) -> None:
            fault = page.faults.pop(0) if page.faults else page.always or Fault()
            if fault.then is not None:
                fault.then(page)
            self._send(asked, page, fault)

        def _send(self, asked: Asked, page: Page, fault: Fault) -> None:
            status, content, ranged = self._part(asked, page, fault)
            asked.status = status
            self.send_response(status)
            for name, value in (*page.headers.items(), *fault.headers):
                self.send_header(name, value)
            if page.etag:
                self.send_header("ETag", page.etag)
            if page.last_modified:
                self.send_header("Last-Modified", page.last_modified)
            if ranged:
                self.send_header("Content-Range", ranged)
            content += fault.extra
            length = len(content) if fault.length is None else fault.length
            if length >= 0:
                self.send_header("Content-Length", str(length))
            else:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            if self.command != "HEAD":
                self._body(asked, page, fault, content)
            if length != len(content):
                self.close_connection = True

        def _part(self, asked: Asked, page: Page, fault: Fault) -> tuple[int, bytes, str | None]:
            if fault.status is not None:
                return fault.status, fault.body or b"", fault.content_range
            content = page.content if fault.body is None else fault.body
            span, mark = asked.span, asked.headers.get("if-range")
            known = mark is None or mark in (page.etag, page.last_modified)
            if span is None or not page.ranges or fault.ignore_range or not known:
                return 200, content, None
            first, last = span
            last = len(content) - 1 if last is None else min(last, len(content) - 1)
            if first > last:
                return 416, b"", f"bytes */{len(content)}"
            truth = f"bytes {first}-{last}/{len(content)}"
            ranged = truth if fault.content_range is None else fault.content_range
            return 206, content[first : last + 1], ranged

        def _body(self, asked: Asked, page: Page, fault: Fault, content: bytes) -> None:
            ends = [len(content), fault.drop_after, fault.stall_after]
            end = min(end for end in ends if end is not None)
            for start in range(0, end, _CHUNK):
                chunk = content[start : min(start + _CHUNK, end)]
                self.wfile.write(chunk)
                asked.sent += len(chunk)
                if page.chunk_s:
                    self.wfile.flush()
                    time.sleep(page.chunk_s)
            self.wfile.flush()
            if fault.stall_after is not None:
                server.release.wait(30)
            if end < len(content):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    return Handler


@contextlib.contextmanager
def serving() -> Iterator[FaultServer]:
    """A server for the time of a test."""
    with FaultServer() as server:
        yield server
