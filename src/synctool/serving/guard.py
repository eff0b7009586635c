"""What stands before the application: no requests of pages elsewhere, no bodies without end, and headers for
strict browsers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from synctool.serving.access import Access, is_foreign
from synctool.serving.api_errors import answer

_SAFE = ("GET", "HEAD", "OPTIONS")
_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


_MOST_BYTES = 64 << 10
"""Length of a body that is read into memory."""
_UPLOADS, _JSON = "/api/jobs", "application/json"


class Guard:
    """An ASGI application before another.

    Args:
        app: The other.
        access: By which names the service may be called.
        body_s: Seconds in which a body that is read into memory must be there.
    """

    def __init__(self, app: ASGIApp, access: Access, *, body_s: float) -> None:
        self._app, self._access, self._body_s = app, access, body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "")

        async def strict(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    given.setdefault(name, value)
            await send(message)

        if not self._access.host_is_known(host):
            refusal = answer(421, "this is not the name of the service", "Call it by its address.")
        elif scope["method"] not in _SAFE and is_foreign(headers.get("origin"), host):
            refusal = answer(403, "the request comes from a page elsewhere")
        elif (problem := _length_problem(scope, headers)) is not None:
            refusal = problem
        elif _is_upload(scope, headers):
            await self._app(scope, receive, strict)
            return
        else:
            try:
                first = await asyncio.wait_for(_body(receive, headers), self._body_s)
            except asyncio.TimeoutError:
                refusal = answer(408, f"the body has not come within {self._body_s:g} s")
            else:
                await self._app(scope, _replayed(first, receive), strict)
                return
        await refusal(scope, receive, strict)


def _is_upload(scope: Scope, headers: Headers) -> bool:
    """Whether the body is a video, which is written to the disk as it comes, with limits of its own."""
    kind = headers.get("content-type", "").lower()
    return scope["path"] == _UPLOADS and not kind.startswith(_JSON)


async def _body(receive: Receive, headers: Headers) -> Message | None:
    """A whole body as one message, or that the client has gone; None where there is none to wait for."""
    if headers.get("content-length", "0").strip("0") == "":
        return None
    parts = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return message
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return {"type": "http.request", "body": b"".join(parts), "more_body": False}


def _replayed(first: Message | None, receive: Receive) -> Receive:
    """Gives a message, and then those that come."""
    waiting = [] if first is None else [first]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed


def _length_problem(scope: Scope, headers: Headers) -> Response | None:
    """What is wrong with the length of a body; videos are written to the disk as they come."""
    if _is_upload(scope, headers):
        return None
    if "transfer-encoding" in headers:
        return answer(411, "the length of the body is not told", "Send Content-Length.")
    told = headers.get("content-length", "0")
    if not told.isdigit() or len(told) > 18 or int(told) > _MOST_BYTES:
        return answer(413, f"the body is larger than {_MOST_BYTES // 1024} KiB, which are allowed")
    return None
