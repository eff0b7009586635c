"""Brings one file from one address, and starts anew where what is here cannot be continued."""

from __future__ import annotations

import logging
from collections.abc import Callable

from synctool.downloads.failures import Changed, NoRanges, RangeRefused, Refused
from synctool.downloads.http import Http
from synctool.downloads.partial import Partial
from synctool.downloads.range_workers import Job, RangeWorkers, ReportProgress
from synctool.settings.download import DownloadSettings

_MOST_CHANGES = 2
_log = logging.getLogger(__name__)


def transfer(
    *,
    http: Http,
    url: str,
    partial: Partial,
    size: int | None,
    checked: bool,
    manner: DownloadSettings,
    on_total: Callable[[int], None],
    report_progress: ReportProgress,
) -> None:
    """Fetch what is missing of a file.

    Args:
        http: The connections.
        url: The address.
        partial: Takes the bytes, and knows which are here.
        size: Bytes of the file by the catalogue, None if it does not know.
        checked: Whether a checksum will tell if the bytes are right.
        manner: How to fetch.
        on_total: Called with the size when the server has told it; may raise.
        report_progress: Called ten times a second; may raise.

    Raises:
        Refused: The address does not give the file; what has come of it is kept.
        OSError: The disk does not take it; what has come is kept.
    """
    job = Job(http=http, url=url, partial=partial, size=size, checked=checked, on_total=on_total)
    ranges, changes, refusals = True, 0, 0
    while True:
        if size is not None and partial.total not in (None, size):
            partial.discard()
        partial.begin(url, checked=checked)
        partial.total = partial.total if size is None else size
        if partial.complete:
            with partial.open():
                return  # an empty file is there, too, when nothing is missing
        try:
            workers = manner.parallel if ranges else 1
            RangeWorkers(
                job, ranges=ranges, workers=workers, retries=manner.retries, wait_s=manner.wait_s
            ).work(report_progress)
            return
        except Changed:
            _log.info("%s has changed: starting anew", url)
            # Servers that share a name may mark one file differently: then one stream is the way.
            changes += 1
            ranges = changes < _MOST_CHANGES
        except NoRanges:
            _log.info("%s gives no parts of the file: starting anew in one stream", url)
            ranges = False
        except RangeRefused as error:
            refusals += 1
            if refusals > 1:
                raise Refused(f"does not give the rest of the file ({error})") from error
            _log.info("%s does not have the rest of the file: starting anew", url)
            ranges = partial.held > 0  # of an empty file not even the first byte can be had
        partial.discard()
