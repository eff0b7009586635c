"""Entries on the Hugging Face Hub: its own client and its own cache, where other programs look, too.

Weights go into the Hub's cache (``HF_HOME``) unless a folder is chosen; data sets into a folder. The
client is an extra: without it nothing is fetched, and nothing in that cache counts as here.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from synctool.cache import cache_folder, default_folder, other_folders
from synctool.downloads.failures import DownloadError, Stopped
from synctool.downloads.progress import Report, Step
from synctool.downloads.state import EntryState
from synctool.downloads.verify import FileCheck
from synctool.errors import MissingError, OutputError, SyncToolError
from synctool.extras import is_installed, require
from synctool.files import chunks, make_folder, output_error, write_text
from synctool.plugins.specs import CatalogueEntry, HubSource
from synctool.untrusted.documents import read_json, typed
from synctool.untrusted.origin import MalformedError

_POLL_S = 0.1
_LAST_WAIT_S = 5.0
_CLIENT = "huggingface_hub"
_CLIENT_NOTES = ".cache/huggingface/"
_log = logging.getLogger(__name__)


def find_hub(entry: CatalogueEntry, folder: Path | None = None) -> EntryState:
    """Look where an entry is, without asking the network.

    Args:
        entry: An entry of the Hub.
        folder: Where to look; None looks where it usually is and where it was put before.
    """
    usual = default_folder(entry.name, entry.kind) if entry.kind == "dataset" else None
    for place in [folder] if folder else [usual, *other_folders(entry.name)]:
        found = hub_folder(entry, place)
        if found is not None:
            return EntryState(entry, found, "here")
    return EntryState(entry, folder or usual or _cache(), "not here")


def check_client(entry: CatalogueEntry) -> None:
    """Make sure before the work that an entry of the Hub can be fetched.

    Raises:
        MissingError: The Hub's client is not installed.
    """
    require("hub", f"fetching {entry.name}")


def _cache() -> Path:
    """The Hub's cache; without the client the place where it usually is."""
    if not is_installed(_CLIENT):
        home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
        return Path(home).expanduser() / "hub"
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def hub_folder(entry: CatalogueEntry, folder: Path | None) -> Path | None:
    """Where an entry is, without asking the network.

    Args:
        entry: An entry of the Hub.
        folder: A folder that it was put into, None for the Hub's cache.

    Returns:
        The folder with its files, None if some are not here. What they are is known from when they
        came; of files that another program fetched, each pattern must have one.
    """
    if folder is None:
        if not is_installed(_CLIENT):
            return None
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            folder = Path(_snapshot(entry, None, local_files_only=True))
        except LocalEntryNotFoundError:
            return None
    names = set(_names(folder, _source(entry)))
    came = _noted(entry).get(str(folder.resolve()))
    if came is not None:
        return folder if names.issuperset(came) else None
    wanted = _source(entry).patterns
    complete = all(any(fnmatch(name, pattern) for name in names) for pattern in wanted)
    return folder if complete else None


def fetch_hub(
    entry: CatalogueEntry,
    folder: Path | None,
    *,
    parallel: int,
    report: Report,
    force: bool = False,
    endpoint: str | None = None,
) -> Path:
    """Fetch an entry of the Hub; files that are here in full are not fetched again.

    Args:
        entry: The entry.
        folder: Where to put it, None for the Hub's cache.
        parallel: Files fetched at once.
        report: Progress callback.
        force: Fetch also what is here.
        endpoint: Address of the Hub or of a mirror, None takes ``HF_ENDPOINT`` or the Hub itself.

    Returns:
        The folder with the files.

    Raises:
        MissingError: It wants a login, or there is no such thing on the Hub.
        DownloadError: It cannot be fetched.
        OutputError: The disk does not take it.
    """
    counter = _Counter()
    result: list[Path] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            where = _snapshot(
                entry,
                folder,
                local_files_only=False,
                max_workers=parallel,
                force_download=force,
                endpoint=endpoint,
                tqdm_class=counter.bar_class(),
            )
            result.append(Path(where))
        except BaseException as error:  # to be raised in the calling thread
            failure.append(error)

    # In a thread of its own, since only so can it be stopped: the client waits for its workers, and
    # these end when the bar that they move raises.
    thread = threading.Thread(target=work, daemon=True, name="fetch-hub")
    repo = _source(entry).repo
    try:
        with _overheard() as said:
            thread.start()
            while thread.is_alive():
                thread.join(_POLL_S)
                note = said[-1] if said else None
                report(Step("fetching", repo, counter.done, counter.total, note))
    finally:
        counter.stop.set()
        if thread.ident is not None:
            thread.join(_LAST_WAIT_S)
    if failure:
        raise _told(entry, failure[0], folder) from failure[0]
    names = list(_names(result[0], _source(entry)))
    if not names:
        raise DownloadError(
            f"{_source(entry).repo} on the Hub has none of the files of {entry.name}",
            remedy="Its publisher has changed it: look for a newer synctool.",
        )
    _note(entry, result[0], names)
    return result[0]


def check_hub(entry: CatalogueEntry, folder: Path, report: Report) -> list[FileCheck]:
    """Read all files of an entry and compare them with the checksums that the Hub gave."""
    checks = []
    for name in _names(folder, _source(entry)):
        path = folder / name
        wanted = _published(folder, name)
        if wanted is None:
            checks.append(FileCheck(name, "no checksum known"))
            continue
        total = path.stat().st_size
        try:
            found = _digest(
                path, wanted, lambda d, n=name, t=total: report(Step("checking", n, d, t))
            )
        except OSError as error:
            checks.append(FileCheck(name, "damaged", f"cannot be read: {error.strerror}"))
            continue
        if found == wanted:
            checks.append(FileCheck(name, "ok"))
        else:
            problem = f"its checksum is {found[:16]}... in place of {wanted[:16]}..."
            checks.append(FileCheck(name, "damaged", problem))
    return checks


def remove_damaged(folder: Path, checks: list[FileCheck]) -> list[str]:
    """Delete what is damaged, so that it is fetched again; return the names."""
    damaged = [check.path for check in checks if check.status == "damaged"]
    for name in damaged:
        path = folder / name
        with suppress(OSError):
            path.resolve().unlink()  # in the cache, the names are links to the content
        with suppress(OSError):
            path.unlink()
    return damaged


def _noted(entry: CatalogueEntry) -> dict[str, list[str]]:
    """Which files came into which folder, by what was noted then."""
    try:
        return typed(read_json(_note_path(entry)), dict[str, list[str]])
    except (OSError, MalformedError):
        return {}


def _note(entry: CatalogueEntry, folder: Path, names: list[str]) -> None:
    path = _note_path(entry)
    try:
        make_folder(path.parent)
        noted = {**_noted(entry), str(folder.resolve()): names}
        write_text(path, json.dumps(noted, indent=1) + "\n")
    except OutputError as error:
        _log.debug("cannot note what came of %s: %s", entry.name, error)


def _note_path(entry: CatalogueEntry) -> Path:
    return cache_folder() / entry.name / "hub.json"


def _source(entry: CatalogueEntry) -> HubSource:
    assert entry.hub is not None
    return entry.hub


def _snapshot(entry: CatalogueEntry, folder: Path | None, **more: Any) -> str:
    from huggingface_hub import snapshot_download

    source = _source(entry)
    return str(
        snapshot_download(
            source.repo,
            repo_type="dataset" if entry.kind == "dataset" else "model",
            revision=source.revision,
            allow_patterns=list(source.patterns),
            local_dir=folder,
            **more,
        )
    )


def _names(folder: Path, source: HubSource) -> Iterator[str]:
    """The files of an entry in a folder, as paths with forward slashes."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        wanted = any(fnmatch(name, pattern) for pattern in source.patterns)
        if wanted and path.is_file() and not name.startswith(_CLIENT_NOTES):
            yield name


def _published(folder: Path, name: str) -> str | None:
    """The checksum that came with a file: the name of the content in the cache, else in a note."""
    path = folder / name
    if path.is_symlink():
        digits = Path(os.readlink(path)).name
    else:
        note = folder / f"{_CLIENT_NOTES}download" / f"{name}.metadata"
        try:
            digits = note.read_text("utf-8").splitlines()[1].strip()
        except (OSError, IndexError, ValueError):
            return None
    return digits if len(digits) in (40, 64) and set(digits) <= set("0123456789abcdef") else None


def _digest(path: Path, like: str, on_bytes: Callable[[int], None]) -> str:
    """The checksum of a file: SHA-256, or Git's SHA-1 for what the Hub keeps in Git itself."""
    digest = hashlib.sha256() if len(like) == 64 else hashlib.sha1(usedforsecurity=False)
    if len(like) == 40:
        digest.update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        for chunk in chunks(file, on_bytes=on_bytes):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """Collect what the client would write on the terminal, in the middle of our own bar."""
    import huggingface_hub.utils  # noqa: F401  # sets up its handlers

    said: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        said.append(" ".join(record.getMessage().split()))
        _log.info("%s", said[-1])
        return False

    handlers = logging.getLogger("huggingface_hub").handlers
    for handler in handlers:
        handler.addFilter(keep)
    try:
        yield said
    finally:
        for handler in handlers:
            handler.removeFilter(keep)


class _Counter:
    """Counts the bytes that the Hub's client tells its progress bars."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._bars: list[Any] = []

    @property
    def done(self) -> int:
        """Bytes that have come."""
        return int(max((bar.n or 0 for bar in self._bars), default=0))

    @property
    def total(self) -> int | None:
        """Bytes in all, None while nobody knows."""
        return int(max((bar.total or 0 for bar in self._bars), default=0)) or None

    def bar_class(self) -> type:
        """A class of bars that show nothing, and that raise when the work is to stop."""
        from tqdm import tqdm

        counter = self

        class Bar(tqdm):
            """A bar without a frame."""

            monitor_interval = 0

            def __init__(self, *values: Any, **more: Any) -> None:
                more.pop("name", None)
                more.update(disable=False, file=io.StringIO(), leave=False)
                super().__init__(*values, **more)
                if more.get("unit") == "B":  # others count files
                    counter._bars.append(self)

            def display(self, *values: Any, **more: Any) -> None:
                """Show nothing."""

            def update(self, n: float | None = 1) -> bool | None:
                """Count."""
                if counter.stop.is_set():
                    raise Stopped
                return super().update(n)

        return Bar


def _told(entry: CatalogueEntry, error: BaseException, folder: Path | None) -> BaseException:
    """What the Hub's client says, as an error for people."""
    from huggingface_hub import errors

    repo = _source(entry).repo
    if isinstance(error, SyncToolError) or not isinstance(error, Exception):
        return error
    if isinstance(error, errors.GatedRepoError):
        return MissingError(
            f"{repo} on the Hub is given out to those who ask for it",
            remedy=f"{entry.access_note} Ask at {entry.homepage}, then log in with: hf auth login "
            "(or set HF_TOKEN).".strip(),
        )
    if isinstance(error, (errors.RepositoryNotFoundError, errors.RevisionNotFoundError)):
        return MissingError(
            f"there is no {repo} in the version {_source(entry).revision} on the Hub, "
            "or it is not public",
            remedy=f"See {entry.homepage}; if it is private, log in with: hf auth login.",
        )
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return output_error(folder or error.filename, error)
    cause = error.__cause__ or error
    words = f"{type(cause).__name__}: {' '.join(str(cause).split())}"[:300]
    return DownloadError(
        f"cannot fetch {entry.name} from the Hub ({repo}): {words}",
        remedy="Run the same command again: files that are here in full are kept. "
        "HF_ENDPOINT can name a mirror of the Hub.",
    )
