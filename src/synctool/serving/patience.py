"""Connections that say nothing, or one letter a minute, until no other can connect (slowloris)."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol


def patient_protocol(*, head_s: float) -> type[asyncio.Protocol]:
    """The web server's protocol with a limit for the head of a request, of which uvicorn has none.

    Args:
        head_s: Seconds from the opening of a connection, or from the first byte of a further request on it,
            in which the request line and the headers must be there; it is closed then.
    """
    base: Any = AutoHTTPProtocol

    class Patient(base):
        _head: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            self._expect_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._forget_head()
            elif self._head is None:
                self._expect_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget_head()
            super().connection_lost(exc)

        def _expect_head(self) -> None:
            self._head = self.loop.call_later(head_s, self.transport.close)

        def _forget_head(self) -> None:
            if self._head is not None:
                self._head.cancel()
                self._head = None

    return Patient
