"""Errors of single videos of a batch: named, told above the progress bar, and weighed against each other."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from synctool.cli.common import show_error, show_traceback
from synctool.errors import (
    EXIT_INCONCLUSIVE,
    EXIT_MISSING,
    EXIT_OK,
    EXIT_OUT_OF_TOLERANCE,
    EXIT_UNEXPECTED,
    EXIT_USAGE,
    SyncToolError,
    described,
)

if TYPE_CHECKING:
    from rich.progress import Progress

_WORST_LAST = (
    EXIT_OK,
    EXIT_INCONCLUSIVE,
    EXIT_OUT_OF_TOLERANCE,
    EXIT_MISSING,
    EXIT_USAGE,
    EXIT_UNEXPECTED,
)


def named(error: Exception, video: str) -> SyncToolError:
    """The error with the name of its video, and what to do about a bug."""
    from synctool.measure.video_work import BUG
    from synctool.report.text import printable
    from synctool.report.wording import named_cause

    if not isinstance(error, SyncToolError):
        return SyncToolError(f"{printable(video)}: {described(error)}", remedy=BUG)
    told = SyncToolError(named_cause(error.cause, video), remedy=error.remedy)
    told.exit_code = error.exit_code
    return told


def say(error: Exception, told: SyncToolError, bar: Progress) -> int:
    """Show an error above the progress bar, and return the exit code."""
    bar.stop()  # or the panel would tear the line of the bar
    if logging.getLogger("synctool").isEnabledFor(logging.DEBUG):
        show_traceback(error)
    code = show_error(told, debug=False)
    bar.start()
    return code


def severity(code: int) -> int:
    return _WORST_LAST.index(code) if code in _WORST_LAST else len(_WORST_LAST)
