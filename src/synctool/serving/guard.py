"""What stands before the application: no requests of pages elsewhere, and headers for strict browsers."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
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
        else:
            await self._app(scope, receive, strict)
            return
        await refusal(scope, receive, strict)
