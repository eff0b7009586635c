"""Events of a run as JSON Lines: added to a file, or printed, each as soon as it is there."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import TextIO

from synctool.files import output_error
from synctool.report.json_out import Reported, to_json_line
from synctool.report.stream import STANDARD_OUTPUT
from synctool.untrusted.documents import parse_json
from synctool.untrusted.origin import MalformedError

_BEGINNING = b'{"schema": "synctool.'
_LONGEST = 1 << 20


class EventLines:
    """Adds lines to a file or to the standard output. A context manager.

    Args:
        target: Path of the file, which is kept and added to; ``-`` for the standard output. Half a line at
            its end, which a killed run has left, is cut off.

    Raises:
        OutputError: It cannot be written.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._file: TextIO | None = None
        if target != STANDARD_OUTPUT:
            try:
                _end_last_line(target)
                self._file = open(target, "a", encoding="utf-8", newline="\n")
            except OSError as error:
                raise output_error(target, error) from error

    def __enter__(self) -> EventLines:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is None:
            return
        try:
            self._file.close()
        except OSError as left:
            if error is None:  # else what could not be written is told already
                raise output_error(self._target, left) from left

    def add(self, event: Reported) -> None:
        """Write an event.

        Raises:
            BrokenPipeError: Nobody reads the standard output any more.
            OutputError: The disk is full.
        """
        file = self._file or sys.stdout
        try:
            file.write(to_json_line(event))
            file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            place = self._target if self._file else "the standard output"
            raise output_error(place, error) from error


def _end_last_line(target: str) -> None:
    """See that what is added begins a line.

    Raises:
        OSError: The file cannot be read or written.
    """
    if not os.path.isfile(target):
        return
    with open(target, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _LONGEST))
        last = file.read().rpartition(b"\n")[2]
        if not last:
            return
        own = last[: len(_BEGINNING)] == _BEGINNING[: len(last)]
        if own and not _is_whole(last):
            file.truncate(size - len(last))
        else:
            file.write(b"\n")


def _is_whole(line: bytes) -> bool:
    try:
        parse_json(line)
    except MalformedError:
        return False
    return True
