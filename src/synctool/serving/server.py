"""The web server of the service: its address, its application, and how it stops."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from starlette.types import ASGIApp

from synctool._version import __version__
from synctool.errors import SyncToolError, UsageError
from synctool.report.html.service import service_page
from synctool.serving.access import Access
from synctool.serving.api import router
from synctool.serving.api_errors import add_answers
from synctool.serving.events import Events
from synctool.serving.guard import Guard
from synctool.serving.patience import patient_protocol
from synctool.serving.service import Service

_WAITING = 128
_CONNECTIONS = 512
_LEAVE_S = 3
_HEAD_S = 10.0
"""A connection that has not said within so many seconds what it wants is closed."""
_TAKEN_S = 300.0
"""A client that takes nothing of its response for so long is given up. The system's buffers ask for more only
when a third of them is free, which a slow client has to read first."""
_DESCRIPTION = (
    "Measures how far audio and video of a talking face are apart, and repairs it. Send a video, follow its "
    "job, fetch result, page, plot and repaired file."
)


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens at an address.

    Raises:
        UsageError: The port is in use or not allowed, or there is no such address.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(
            f"{host} is no address to listen on: {error.strerror or error}",
            remedy="Give the name or the number of this machine as --host.",
        ) from error
    try:
        if os.name == "posix":  # on Windows it would let two programs have one port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(_WAITING)
    except OSError as error:
        made.close()
        raise _refused(host, port, error) from error
    return made


def _refused(host: str, port: int, error: OSError) -> SyncToolError:
    if error.errno == errno.EADDRINUSE:
        return UsageError(
            f"port {port} of {host} is in use by another program",
            remedy="Stop that program, or give another --port; 0 takes any free one.",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return UsageError(
            f"port {port} may not be used by this user", remedy="Give a --port from 1024 on."
        )
    return UsageError(
        f"cannot listen on port {port} of {host}: {error.strerror}",
        remedy="Check --host and --port.",
    )


def address_of(listening: socket.socket) -> str:
    """The address of a socket for a browser."""
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # all addresses of this machine, of which this one is known
        host = "127.0.0.1"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def application(service: Service, access: Access, events: Events) -> ASGIApp:
    """The whole application: the API, and the page."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        events.attach()
        yield

    app = FastAPI(
        title="synctool",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,  # they would load their script from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service, app.state.access, app.state.events = service, access, events
    app.include_router(router)
    add_answers(app)
    if access.open:
        app.openapi = partial(_without_tokens, app.openapi)
    text, policy = service_page(tokens=not access.open)

    @app.get("/", include_in_schema=False)
    def page() -> HTMLResponse:
        return HTMLResponse(text, headers={"Content-Security-Policy": policy})

    return Guard(app, access, body_s=service.settings.upload_timeout)


def _without_tokens(described: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The OpenAPI document of a service that wants no tokens."""
    document = described()
    document.get("components", {}).pop("securitySchemes", None)
    for operations in document.get("paths", {}).values():
        for operation in operations.values():
            operation.pop("security", None)
    return document


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_exit: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_exit = on_exit

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the streams of events first, or the server would wait for their listeners."""
        self._on_exit()
        super().handle_exit(sig, frame)


def run(app: ASGIApp, listening: socket.socket, events: Events) -> None:
    """Answer requests until Ctrl-C or SIGTERM, which is raised again afterwards."""
    config = uvicorn.Config(
        app,
        http=patient_protocol(head_s=_HEAD_S, taken_s=_TAKEN_S),
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=20,
        timeout_graceful_shutdown=_LEAVE_S,
    )
    _Server(config, events.close).run(sockets=[listening])
