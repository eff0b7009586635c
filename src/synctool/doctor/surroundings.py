"""Settings, plugins and folders, as synctool finds them here."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from synctool.cache import cache_folder
from synctool.disk_space import amount, free_bytes
from synctool.doctor.findings import Finding
from synctool.errors import SyncToolError
from synctool.plugins.loader import get_plugins
from synctool.settings.detect import DetectSettings
from synctool.settings.sources import ENV_PREFIX, FILE_NAME, resolve, settings_file

_LITTLE_ROOM = 500_000_000
_SECRET = ("PASSWORD", "TOKEN", "KEY")


def settings() -> Iterator[Finding]:
    """The settings file, the variables, and whether both hold."""
    file = settings_file()
    told = str(file.resolve()) if file.is_file() else f"none ({FILE_NAME} in the current folder)"
    yield Finding("Settings", "file", "ok", told)
    for name in sorted(os.environ):
        if name.upper().startswith(ENV_PREFIX):
            secret = any(word in name.upper() for word in _SECRET)
            yield Finding("Settings", name, "ok", "(set)" if secret else os.environ[name])
    try:
        resolve(DetectSettings)
    except SyncToolError as error:
        remedy = error.remedy or "Fix or remove it."
        yield Finding("Settings", "check", "problem", error.cause, remedy)


def plugins() -> Iterator[Finding]:
    """The plugins of others, and every one that is broken."""
    records = get_plugins().probe()
    working = [record for record in records if record.status == "ok"]
    own = sum(record.builtin for record in working)
    yield Finding("Plugins", "of synctool", "ok", f"{own} loaded")
    for record in records:
        whose = f"{record.distribution} {record.version}" if record.distribution else record.module
        if record.status == "broken":
            remedy = "Fix or remove it; synctool plugins list shows all."
            if record.distribution and not record.builtin:
                remedy = f"Fix it, or: pip uninstall {record.distribution}"
            status = "problem" if record.builtin else "warning"
            told = f"{whose}: {record.reason}"
            yield Finding("Plugins", record.name, status, told, remedy)
        elif not record.builtin:
            names = [name for given in record.gives.values() for name in given]
            more = f": {', '.join(names)}" if names else ""
            yield Finding("Plugins", record.name, "ok", f"{whose}, {record.status}{more}")


def folders() -> Iterator[Finding]:
    """The cache and the temporary folder: where they are, and what room there is."""
    for name, folder, remedy in (
        ("cache", cache_folder(), "Set SYNCTOOL_CACHE to a folder that can be written."),
        ("temporary", Path(tempfile.gettempdir()), "Set TMPDIR to a folder that can be written."),
    ):
        existing = next((f for f in (folder, *folder.parents) if f.exists()), folder)
        if not os.access(existing, os.W_OK):
            yield Finding("Folders", name, "warning", f"{folder} cannot be written", remedy)
            continue
        free = free_bytes(existing)
        little = free < _LITTLE_ROOM
        yield Finding(
            "Folders", name, "warning" if little else "ok", f"{folder}, {amount(free)} free",
            "Make room, or use another folder." if little else "",
        )  # fmt: skip
