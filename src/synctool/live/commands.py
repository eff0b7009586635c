"""A command of the user's, run on every alarm and every recovery."""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import subprocess
import sys

from synctool.background import BackgroundQueue
from synctool.errors import MissingError, UsageError
from synctool.live.events import Event

TIMEOUT_S = 60.0
"""A command that runs for longer is ended."""
_log = logging.getLogger(__name__)


class AlarmCommand:
    """Runs a command for an event, in a thread of its own, one after the other. Close it.

    The command gets the event as JSON on its standard input, and the most important of it in the environment:
    ``SYNCTOOL_EVENT`` (alarm, recovery), ``SYNCTOOL_SOURCE``, ``SYNCTOOL_OFFSET_MS``. No shell is involved.

    Args:
        command: Program and arguments, as one text.
        timeout_s: Longest time that it may run.

    Raises:
        UsageError: The text is empty, or its quotation marks do not match.
        MissingError: There is no such program.
    """

    def __init__(self, command: str, *, timeout_s: float = TIMEOUT_S) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise UsageError(
                f"--on-alarm {command!r}: {error}", remedy="Check its quotation marks."
            ) from error
        if not self._words:
            raise UsageError("--on-alarm is empty", remedy="Give a program and its arguments.")
        if shutil.which(self._words[0]) is None:
            raise MissingError(
                f"--on-alarm: there is no program {self._words[0]!r}",
                remedy="Give its path, and check that it may be run.",
            )
        self._timeout_s = timeout_s
        self._queue: BackgroundQueue[Event] = BackgroundQueue(
            self._run, name="--on-alarm", most=100
        )

    def add(self, event: Event) -> None:
        """Run it for an event, later; never waits."""
        self._queue.put(event)

    def close(self) -> None:
        """Let what waits be run for a while."""
        self._queue.close(wait_s=5.0)

    def _run(self, event: Event) -> None:
        plain = event.to_dict()
        offset_ms = plain.get("offset_ms")
        environment = os.environ | {
            "SYNCTOOL_EVENT": event.kind,
            "SYNCTOOL_SOURCE": event.source,
            "SYNCTOOL_OFFSET_MS": "" if offset_ms is None else str(offset_ms),
        }
        try:
            done = subprocess.run(
                self._words,
                input=json.dumps(plain, ensure_ascii=False).encode("utf-8"),
                env=environment,
                # The standard output is for the events of this program.
                stdout=sys.__stderr__ if _is_open(sys.__stderr__) else subprocess.DEVNULL,
                timeout=self._timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"it was ended after {self._timeout_s:g} s") from None
        if done.returncode:
            raise RuntimeError(f"it ended with {done.returncode}")


def _is_open(stream: object) -> bool:
    try:
        return stream is not None and stream.fileno() >= 0  # type: ignore[attr-defined]
    except (OSError, ValueError, AttributeError):
        return False
