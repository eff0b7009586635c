"""What can go wrong with a download: for people, and among the modules that fetch."""

from __future__ import annotations

from synctool.errors import SyncToolError


class DownloadError(SyncToolError):
    """A file that cannot be fetched, or that is not what it must be."""


class NotGiven(DownloadError):
    """A file that no mirror has any more, or has right; other files may still be had."""


class Interrupted(Exception):
    """The line or the server failed for the moment; the same address may answer later.

    Args:
        reason: What happened, in words that follow an address and a colon.
        retry_after_s: How long the server asks to wait, in seconds.
    """

    def __init__(self, reason: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Refused(Exception):
    """An address that will not give the file.

    Args:
        reason: Why, in words that follow the address and a colon.
        denied: Whether a user name and a password are wanted, or were not accepted.
        momentary: Whether it is the line or the server that failed, again and again.
    """

    def __init__(self, reason: str, *, denied: bool = False, momentary: bool = False) -> None:
        super().__init__(reason)
        self.denied = denied
        self.momentary = momentary


class Changed(Exception):
    """The server has another file than the one whose bytes are here."""


class NoRanges(Exception):
    """The server does not give parts of files, or not the ones asked for."""


class RangeRefused(Exception):
    """The server says that the file has no such part (416)."""


class Stopped(Exception):
    """The work was told to stop."""
