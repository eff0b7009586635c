"""One file of the catalogue, from the first mirror that gives it whole and right."""

from __future__ import annotations

import logging
from pathlib import Path

from synctool.disk_space import amount, check_space
from synctool.downloads.access import no_credentials
from synctool.downloads.checksums import Digests, difference, digests
from synctool.downloads.failures import DownloadError, NotGiven, Refused
from synctool.downloads.http import Http
from synctool.downloads.partial import Partial
from synctool.downloads.progress import Report, Step
from synctool.downloads.transfer import transfer
from synctool.errors import MissingError, OutputError, SyncToolError
from synctool.files import make_folder, output_error
from synctool.plugins.specs import CatalogueEntry, CatalogueFile
from synctool.settings.download import DownloadSettings

_log = logging.getLogger(__name__)


def fetch_file(
    entry: CatalogueEntry,
    file: CatalogueFile,
    folder: Path,
    *,
    http: Http,
    manner: DownloadSettings,
    report: Report,
) -> Digests:
    """Bring a file into its place.

    Args:
        entry: What it belongs to.
        file: The file.
        folder: The entry's folder.
        http: The connections.
        manner: How to fetch.
        report: Told how far it is.

    Returns:
        What its content is.

    Raises:
        NotGiven: No mirror has it, or has it right; the message names each and why.
        DownloadError: The same, but it is the line or a server that failed.
        MissingError: The same, and one of them wants a user name and a password.
        OutputError: There is no room, or the disk does not take it.
    """
    target = folder / file.path
    make_folder(target.parent)
    partial = Partial(target)
    failures: dict[str, Refused] = {}
    for url in file.urls:
        try:
            return _from_mirror(file, url, partial, http=http, manner=manner, report=report)
        except Refused as error:
            _log.info("%s: %s", url, error)
            failures[url] = error
        except OSError as error:
            told = output_error(target, error)
            raise OutputError(
                told.cause,
                remedy=f"{told.remedy} What has come is kept: the same command goes on from there.",
            ) from error
        finally:
            if not partial.held:
                partial.discard()
    raise _nowhere(entry, file, failures, kept=partial.held)


def _from_mirror(
    file: CatalogueFile,
    url: str,
    partial: Partial,
    *,
    http: Http,
    manner: DownloadSettings,
    report: Report,
) -> Digests:
    """Bring a file from one address, check it, and put it into its place."""
    while True:
        alone = not partial.held
        transfer(
            http=http,
            url=url,
            partial=partial,
            size=file.size,
            checked=file.has_checksum,
            manner=manner,
            on_total=lambda total: check_space(
                partial.path.parent, total - partial.held, partial.target.name
            ),
            report_progress=lambda done, total, note: report(
                Step("fetching", file.path, done, total, note)
            ),
        )
        found = digests(
            partial.path,
            md5=file.md5 is not None,
            on_bytes=lambda done: report(Step("checking", file.path, done, partial.total)),
        )
        problem = difference(file, found)
        if problem is None:
            partial.finish()
            return found
        partial.discard()
        if alone:
            raise Refused(f"gives a damaged file: {problem}")
        # Bytes of an earlier run or another mirror may be what does not fit: once more without them.
        _log.info("%s does not fit what was here: starting anew", url)


def _nowhere(
    entry: CatalogueEntry, file: CatalogueFile, failures: dict[str, Refused], *, kept: int
) -> SyncToolError:
    """The error when no mirror gives the file."""
    reasons = [f"{url}: {error}" for url, error in failures.items()]
    listed = f" {reasons[0]}" if len(reasons) == 1 else "".join(f"\n  - {r}" for r in reasons)
    cause = f"cannot fetch {file.path} of {entry.name}:{listed}"
    elsewhere = f"or import a copy that you have: synctool download {entry.name} --from FILE"
    if any(error.denied for error in failures.values()):
        if entry.access == "credentials":
            return MissingError(cause, remedy=no_credentials(entry).remedy)
        return MissingError(cause, remedy=f"{entry.access_note} See {entry.homepage}, {elsewhere}.")
    if not any(error.momentary for error in failures.values()):
        return NotGiven(cause, remedy=f"Look at {entry.homepage} for news, {elsewhere}.")
    again = f"Run the same command again ({amount(kept)} are kept)" if kept else "Try again later"
    return DownloadError(cause, remedy=f"{again}, {elsewhere}.")
