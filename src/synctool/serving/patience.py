"""Connections that say nothing, or one letter a minute, or never read what they asked for, until no other can
connect (slowloris, slow read)."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol


def patient_protocol(*, head_s: float, taken_s: float) -> type[asyncio.Protocol]:
    """The web server's protocol with limits of which uvicorn has none.

    Args:
        head_s: Seconds from the opening of a connection, or from the first byte of a further request on it,
            in which the request line and the headers must be there; it is closed then.
        taken_s: Seconds in which some of a response must be taken where the system's buffers are full; the
            connection is broken off then.
    """
    base: Any = AutoHTTPProtocol

    class Patient(base):
        _head: asyncio.TimerHandle | None = None
        _full: asyncio.TimerHandle | None = None

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
            self._forget_full()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._forget_full()
            # Closed, it would wait until all is taken.
            self._full = self.loop.call_later(taken_s, self.transport.abort)

        def resume_writing(self) -> None:
            self._forget_full()
            super().resume_writing()

        def _expect_head(self) -> None:
            self._head = self.loop.call_later(head_s, self.transport.close)

        def _forget_head(self) -> None:
            if self._head is not None:
                self._head.cancel()
                self._head = None

        def _forget_full(self) -> None:
            if self._full is not None:
                self._full.cancel()
                self._full = None

    return Patient
