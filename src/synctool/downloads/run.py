"""``download``: what the catalogue has, what of it is here, and bringing the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from synctool.cache import remember
from synctool.disk_space import amount, free_bytes
from synctool.downloads import acquire, hub
from synctool.downloads.access import Access, Ask, Credentials
from synctool.downloads.failures import DownloadError
from synctool.downloads.progress import Step
from synctool.downloads.receipt import locked
from synctool.downloads.state import EntryState, confirm, find, inspect
from synctool.downloads.verify import FileCheck, Found, check_files, summed_up
from synctool.errors import MissingError, UsageError
from synctool.plugins import registry
from synctool.plugins.specs import CatalogueEntry
from synctool.settings.download import DownloadSettings

__all__ = [
    "Ask", "Credentials", "Downloaded", "EntryState", "Plan", "Step", "Verified", "amount",
    "described", "download", "entry_of", "listing", "plan", "show", "verify",
]  # fmt: skip

OnProgress = Callable[[str, Step], None]
"""Called at most twenty times a second with the name of the entry; what it raises ends the work, and what
has come is kept."""
_PACE_S = 0.05


@dataclass(frozen=True)
class Downloaded:
    """What became of one entry.

    Attributes:
        name: Its name.
        folder: Where it is.
        files: Paths of the files that came now; none if all was here.
        bytes_come: Bytes that came now.
        unpacked: Files that were unpacked now.
        checked: Whether a checksum of the catalogue or the Hub confirms every file that came.
    """

    name: str
    folder: Path
    files: tuple[str, ...] = ()
    bytes_come: int = 0
    unpacked: int = 0
    checked: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "folder": str(self.folder), "files": list(self.files)}


@dataclass(frozen=True)
class Plan:
    """What a download would do.

    Attributes:
        state: What is here, and what is missing.
        bytes_to_fetch: Bytes to come, as far as the sizes are known.
        unknown_sizes: Files to come whose size is not known.
        bytes_to_unpack: Estimate of what would be unpacked, 0 if nothing or not known.
        bytes_free: Room on the disk.
    """

    state: EntryState
    bytes_to_fetch: int
    unknown_sizes: int
    bytes_to_unpack: int
    bytes_free: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "name": self.state.entry.name,
            "folder": str(self.state.folder),
            "status": self.state.status,
            "files": [
                {"path": f.file.path, "status": f.status, "bytes": f.to_come, "urls": f.file.urls}
                for f in self.state.files
            ],
            "hub": asdict(self.state.entry.hub) if self.state.entry.hub else None,
            "bytes_to_fetch": self.bytes_to_fetch,
            "unknown_sizes": self.unknown_sizes,
            "bytes_to_unpack": self.bytes_to_unpack,
            "bytes_free": self.bytes_free,
        }


@dataclass(frozen=True)
class Verified:
    """What of an entry is right.

    Attributes:
        name: Its name.
        folder: Where it is, None if it is not here.
        status: The worst of its files.
        files: Its files one by one.
    """

    name: str
    folder: Path | None
    status: Found
    files: tuple[FileCheck, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "name": self.name,
            "folder": None if self.folder is None else str(self.folder),
            "status": self.status,
            "files": [asdict(check) for check in self.files],
        }


def listing(kind: str | None = None) -> list[EntryState]:
    """All entries of the catalogue, with what is here.

    Args:
        kind: ``weights`` or ``dataset``; None for both.

    Raises:
        PluginError: Two plugins claim one name.
    """
    return [_found(entry) for entry in registry.catalogue.all() if kind in (None, entry.kind)]


def show(name: str) -> EntryState:
    """One entry, with what is here.

    Raises:
        UsageError: There is no such name.
    """
    return _found(registry.catalogue.get(name))


def described(state: EntryState) -> dict[str, Any]:
    """An entry and what is here as plain data for JSON."""
    entry = asdict(state.entry)
    entry["size_bytes"] = state.entry.size_bytes
    for row, found in zip(entry["files"], state.files):
        row.update(status=found.status, bytes_held=found.held, place=str(found.path))
    return {**entry, "status": state.status, "folder": str(state.folder)}


def entry_of(name: str) -> CatalogueEntry:
    """What the catalogue says of a name.

    Raises:
        UsageError: There is no such name.
    """
    return registry.catalogue.get(name)


def plan(name: str, *, dest: Path | None = None, force: bool = False) -> Plan:
    """Say what ``get`` would do; touches neither the network nor the disk.

    Args:
        name: Name of the entry.
        dest: As for ``get``.
        force: As for ``get``.

    Raises:
        UsageError: There is no such name.
    """
    state = _found(registry.catalogue.get(name), dest)
    if force:
        files = tuple(replace(found, status="missing", held=0) for found in state.files)
        state = replace(state, status="not here", files=files)
    fetching = bool(state.missing) or (bool(state.files) and bool(state.to_unpack))
    return Plan(
        state=state,
        bytes_to_fetch=state.to_come,
        unknown_sizes=sum(found.to_come is None for found in state.missing),
        bytes_to_unpack=state.entry.unpacked_bytes if fetching else 0,
        bytes_free=free_bytes(state.folder),
    )


def download(
    name: str,
    settings: DownloadSettings | None = None,
    *,
    dest: Path | None = None,
    source: Path | None = None,
    force: bool = False,
    ask: Ask | None = None,
    endpoint: str | None = None,
    on_progress: OnProgress | None = None,
    **changes: Any,
) -> Downloaded:
    """Bring an entry here: whole, checked, or not at all. An interrupted one is continued.

    Args:
        name: Name of the entry.
        settings: How to fetch; None for the defaults.
        dest: Folder for its files; None takes the cache folder for weights, and a folder of the
            entry's name in the current one for a data set, or wherever it was put before.
        source: A file or a folder to import from, in place of the network.
        force: Fetch also what is here.
        ask: Asks for a password that is found nowhere.
        endpoint: Address of the Hub or its mirror; None takes ``HF_ENDPOINT`` or the Hub itself.
        on_progress: Progress callback.
        changes: Settings by name that differ from ``settings``: see ``DownloadSettings``.

    Returns:
        Where it is and what came.

    Raises:
        UsageError: There is no such name, the entry cannot be imported, or ``force`` and ``offline``
            contradict one another.
        MissingError: It is not here and may not be fetched: offline, or access is not granted.
        DownloadError: It cannot be had, or is damaged.
        OutputError: There is no room, or the folder cannot be written.
    """
    settings = DownloadSettings.of(settings, changes)
    offline = settings.offline
    entry = registry.catalogue.get(name)
    if force and offline and source is None:
        raise UsageError(
            "--force fetches what is here, too, and --offline forbids it", remedy="Leave one out."
        )
    report = _paced(entry.name, on_progress)
    if entry.hub is not None:
        if source is not None:
            raise UsageError(
                f"{entry.name} is kept by the Hub's own client and cannot be imported",
                remedy="Copy the folder of the Hub's cache (HF_HOME) from a machine that has it.",
            )
        return _get_from_hub(entry, dest, offline, force, settings.parallel, endpoint, report)
    state = find(entry, dest)
    if not force:
        state = confirm(state, report)
        if state.status == "here" and (settings.keep_archives or not _archives_left(state)):
            remember(entry.name, state.folder)
            return Downloaded(entry.name, state.folder)
    if offline and source is None and state.status != "here":
        raise _offline(state)
    with locked(state.folder, on_wait=lambda: report(_WAITING)):
        remember(entry.name, state.folder)
        # Another process may have brought it in the meantime.
        state = inspect(entry, state.folder)
        state = acquire.everything(state) if force else confirm(state, report)
        acquire.check_room(state)
        came = acquire.Acquired()
        if state.missing and source is not None:
            came = acquire.import_missing(state, source, report)
        elif state.missing:
            access = Access(entry, user=settings.user, ask=ask)
            came = acquire.fetch_missing(state, access, settings, report)
        came.unpacked = acquire.unpack_all(
            state, anew=force, keep=settings.keep_archives, report=report
        )
    checked = all(file.has_checksum for file in entry.files if file.path in came.files)
    return Downloaded(entry.name, state.folder, came.files, came.bytes_come, came.unpacked, checked)


def verify(names: Sequence[str] = (), *, on_progress: OnProgress | None = None) -> list[Verified]:
    """Read what is here, and compare it with the catalogue's checksums.

    Args:
        names: Names of entries; none takes all that are here, at least in part.
        on_progress: Told how far it is.

    Raises:
        UsageError: There is no such name.
    """
    entries = [registry.catalogue.get(name) for name in names]
    states = [_found(entry) for entry in entries] if names else listing()
    checked = []
    for state in states:
        if state.status == "not here" and not names:
            continue
        report = _paced(state.entry.name, on_progress)
        if state.entry.hub is None:
            checks = check_files(state, report)
        elif state.status == "here":
            checks = hub.check_hub(state.entry, state.folder, report)
        else:
            checks = []
        status = summed_up(checks)
        folder = None if status == "not here" else state.folder
        checked.append(Verified(state.entry.name, folder, status, tuple(checks)))
    return checked


_WAITING = Step("waiting", "", 0, note="another synctool is at work in the folder")


def _found(entry: CatalogueEntry, dest: Path | None = None) -> EntryState:
    return find(entry, dest) if entry.hub is None else hub.find_hub(entry, dest)


def _archives_left(state: EntryState) -> bool:
    """Whether archives that are unpacked lie beside what came out of them."""
    archived = {file.path for files in state.entry.archives.values() for file in files}
    return any(f.status == "here" and f.file.path in archived for f in state.files)


def _get_from_hub(
    entry: CatalogueEntry,
    dest: Path | None,
    offline: bool,
    force: bool,
    parallel: int,
    endpoint: str | None,
    report: Callable[[Step], None],
) -> Downloaded:
    state = hub.find_hub(entry, dest)
    if state.status == "here" and not force:
        return Downloaded(entry.name, state.folder)
    if offline:
        raise _offline(state)
    hub.check_client(entry)
    place = dest or (state.folder if entry.kind == "dataset" else None)
    folder = hub.fetch_hub(
        entry, place, parallel=parallel, force=force, endpoint=endpoint, report=report
    )
    checks = hub.check_hub(entry, folder, report)
    if damaged := hub.remove_damaged(folder, checks):
        raise DownloadError(
            f"{damaged[0]} of {entry.name} came damaged from the Hub, and was removed",
            remedy="Run the same command again.",
        )
    if place is not None:
        remember(entry.name, folder)
    size = sum((folder / check.path).stat().st_size for check in checks)
    checked = all(check.status == "ok" for check in checks)
    return Downloaded(entry.name, folder, tuple(c.path for c in checks), size, checked=checked)


def _offline(state: EntryState) -> MissingError:
    missing = f"{len(state.missing)} of {len(state.files)} files are missing in {state.folder}"
    what = f"is here only in part: {missing}" if state.status == "incomplete" else "is not here"
    copy = "" if state.entry.hub else ", or import a copy with --from"
    return MissingError(
        f"{state.entry.name} {what}", remedy=f"Run it again without --offline{copy}."
    )


def _paced(name: str, on_progress: OnProgress | None) -> Callable[[Step], None]:
    """Pass steps on, but no more than twenty a second of the same kind."""
    last: tuple[float, Step | None] = (0.0, None)

    def report(step: Step) -> None:
        nonlocal last
        if on_progress is None:
            return
        before, now = last[1], time.monotonic()
        same = before is not None and (before.doing, before.path) == (step.doing, step.path)
        if not same or now - last[0] >= _PACE_S:
            last = (now, step)
            on_progress(name, step)

    return report
