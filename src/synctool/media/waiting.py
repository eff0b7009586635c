"""Waiting for FFmpeg no longer than wanted: a damaged file can keep it busy for ever."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import TypeVar

from synctool.errors import MediaError
from synctool.settings.shared import STALL_S

__all__ = ["STALL_S", "hung", "within"]

_T = TypeVar("_T")


def hung(name: str, what: str, seconds: float) -> MediaError:
    """The error of a video that keeps everybody waiting.

    Args:
        name: The video, as it may be printed.
        what: What has hung: ``the decoder``.
        seconds: How long was waited.
    """
    return MediaError(
        f"{name}: {what} has hung: nothing came for {seconds:g} s",
        remedy="The file is damaged; convert it to a common format and try again. For a slow disk or "
        "network, give a longer --stall-timeout.",
    )


def within(
    seconds: float,
    action: Callable[[], _T],
    *,
    name: str,
    what: str,
    undo: Callable[[_T], object] | None = None,
) -> _T:
    """Do something that may never come to an end.

    Args:
        seconds: Longest wait; infinite does it in this thread. What takes longer is left behind in a
            thread of its own, which ends with the program: nothing can stop it.
        action: What to do.
        name: The video, as it may be printed.
        what: What has hung, then.
        undo: Given what ``action`` returns after the wait is over, in that thread: closes a file that
            nobody takes any more.

    Raises:
        MediaError: It took longer.
        BaseException: What ``action`` raises.
    """
    if math.isinf(seconds):
        return action()
    result: list[_T] = []
    errors: list[BaseException] = []
    settling = threading.Lock()
    given_up = False

    def work() -> None:
        try:
            value = action()
        except BaseException as error:  # raised again below, where it is wanted
            errors.append(error)
            return
        with settling:
            if not given_up:
                result.append(value)
                return
        if undo is not None:
            undo(value)

    thread = threading.Thread(target=work, name="synctool-open", daemon=True)
    thread.start()
    thread.join(seconds)
    with settling:
        given_up = not result
    if errors:
        raise errors[0]
    if given_up:
        raise hung(name, what, seconds)
    return result[0]
