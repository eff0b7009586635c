"""Reading and writing where a single failure says little: object stores, disks behind a network.

What may go well the next time is tried again, with growing waits; what will not (no such file, no
permission, no such bucket) fails at once.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
from typing import TypeVar

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
ATTEMPTS = 5
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 8.0
_PERMANENT = (
    *(FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError),
    *(FileExistsError, NotImplementedError),
)
_OF_THIS_DISK = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP),
    *(errno.EMFILE, errno.EINVAL),
}
_OF_NETWORKS = {
    *("aiohttp", "aiobotocore", "botocore", "google", "gcsfs", "azure", "adlfs", "requests"),
    *("urllib3", "http", "httpx", "httpcore", "paramiko", "ssl"),
}
"""Packages whose errors are of a connection, though many of them are no ``OSError``."""
_WORTH_WAITING = {408, 425, 429}
"""Of the statuses by which a server blames the one who asks: too slow, too early, too often."""


def is_transient(error: BaseException) -> bool:
    """Whether another try may go well.

    Args:
        error: What a store, or the operating system, said.
    """
    if isinstance(error, _PERMANENT) or not isinstance(error, Exception):
        return False
    status = next(
        (s for n in ("status", "code") if isinstance(s := getattr(error, n, None), int)), 0
    )
    if 400 <= status < 500 and status not in _WORTH_WAITING:
        return False
    if isinstance(error, OSError):
        return error.errno not in _OF_THIS_DISK
    if isinstance(error, (EOFError, asyncio.TimeoutError)):
        return True
    return type(error).__module__.partition(".")[0] in _OF_NETWORKS


def retried(action: Callable[[], _T], what: str) -> _T:
    """Do something, and again while it fails in a way that may pass.

    Args:
        action: What to do; it must begin anew each time.
        what: What that is, for the log.

    Raises:
        Exception: What the last try raised.
    """
    import tenacity

    def tell(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        _log.info("%s: %s; trying again", what, error)

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_transient),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S)
        + tenacity.wait_random(0, FIRST_WAIT_S),
        before_sleep=tell,
        reraise=True,
    )(action)
