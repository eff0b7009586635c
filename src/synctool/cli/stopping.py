"""Stopping a program that runs for long: SIGTERM, as service managers send it, ends it like Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class Terminated(BaseException):
    """SIGTERM came."""


@contextmanager
def terminated_by_signal(raised: type[BaseException] = Terminated) -> Iterator[None]:
    """Raise ``Terminated``, or another exception, in the block on SIGTERM; in the main thread only."""

    def stop(number: int, frame: object) -> NoReturn:
        raise raised

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
