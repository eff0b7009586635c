"""What stands before the application: no requests of pages elsewhere, no bodies without end, and headers for
strict browsers."""

from __future__ import annotations

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
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

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
        else:
            await self._app(scope, receive, strict)
            return
        await refusal(scope, receive, strict)


def _length_problem(scope: Scope, headers: Headers) -> Response | None:
    """What is wrong with the length of a body; videos are written to the disk as they come."""
    kind = headers.get("content-type", "").lower()
    if scope["path"] == _UPLOADS and not kind.startswith(_JSON):
        return None
    if "transfer-encoding" in headers:
        return answer(411, "the length of the body is not told", "Send Content-Length.")
    told = headers.get("content-length", "0")
    if not told.isdigit() or len(told) > 18 or int(told) > _MOST_BYTES:
        return answer(413, f"the body is larger than {_MOST_BYTES // 1024} KiB, which are allowed")
    return None
