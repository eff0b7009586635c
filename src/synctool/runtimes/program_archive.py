"""The archive of an exported program, reduced to what this package writes into one.

``torch.export.load`` unpickles objects, loads libraries of AOTInductor and falls back on older layouts that
are pickled throughout, as the names in the archive tell it. So names that are not on a list are refused,
every name may occur once, and PyTorch gets a new archive of the members that were checked: there is nothing
else that it could read.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synctool.errors import WeightsError

_WEIGHTS, _CONSTANTS = "data/weights/", "data/constants/"
_TABLES = {
    f"{_WEIGHTS}model_weights_config.json": re.compile(r"weight_[0-9]{1,9}"),
    f"{_CONSTANTS}model_constants_config.json": re.compile(r"tensor_[0-9]{1,9}"),
}
"""The tables of tensors, and how the files that they name are called."""
_NEEDED = {*_TABLES, "models/model.json", "archive_format", "archive_version"}
_EMPTY = "data/sample_inputs/model.pt"
_NOTES = {".data/version", ".data/serialization_id", "byteorder"}
_TENSOR = re.compile(rf"{_WEIGHTS}weight_[0-9]{{1,9}}|{_CONSTANTS}tensor_[0-9]{{1,9}}")
_TEXT = re.compile(r"extra/[A-Za-z0-9_]{1,64}")
_MOST_MEMBERS = 100_000
_LARGEST_TEXT = 256 << 20
_REMEDY = "Use a file that synctool export has written."


class _Refused(Exception):
    """What is wrong with an archive, in words that follow its name."""


def checked_archive(data: bytes, path: Path) -> bytes:
    """An archive that holds nothing but a graph and plain tensors.

    Args:
        data: The file.
        path: Its name, for messages.

    Raises:
        WeightsError: It is damaged, no archive of an exported program, or holds anything else.
    """
    try:
        members = _members(data)
        _check_tables(members)
        return _archive(members)
    except _Refused as error:
        raise WeightsError(f"{path} is refused: it {error}", remedy=_REMEDY) from error
    except Exception as error:  # zipfile raises a dozen kinds for a damaged archive
        raise WeightsError(
            f"{path} is damaged, or not an exported program: {error}",
            remedy="Export the model again.",
        ) from error


def _members(data: bytes) -> dict[str, bytes]:
    """The members that PyTorch may see, by their names below the archive's own folder."""
    found: dict[str, bytes] = {}
    seen: set[str] = set()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if not 0 < len(entries) <= _MOST_MEMBERS:
            raise _Refused(f"has {len(entries)} members")
        root = entries[0].filename.partition("/")[0]
        for entry in entries:
            name = _name(entry, root)
            if name.casefold() in seen:
                raise _Refused(f"has {name} twice")
            seen.add(name.casefold())
            if name not in _NOTES and not _TEXT.fullmatch(name):
                found[name] = archive.read(entry)
    lacking = sorted(_NEEDED - set(found))
    if lacking:
        raise _Refused(f"has no {lacking[0]}")
    if found["archive_format"] != b"pt2":
        raise _Refused("is not an exported program")
    if found.pop(_EMPTY, b""):
        raise _Refused(f"holds {_EMPTY}, which would have to be unpickled")
    return found


def _name(entry: zipfile.ZipInfo, root: str) -> str:
    """The name of a member below the archive's folder, if there may be such a member."""
    folder, _, name = entry.filename.partition("/")
    known = name in _NEEDED | _NOTES | {_EMPTY}
    if folder != root or not (known or _TENSOR.fullmatch(name) or _TEXT.fullmatch(name)):
        raise _Refused(
            f"holds {entry.filename}, which could run code or would have to be unpickled"
        )
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise _Refused(f"holds {name} compressed or encrypted")
    if not _TENSOR.fullmatch(name) and entry.file_size > _LARGEST_TEXT:
        raise _Refused(f"holds {name} of {entry.file_size} bytes")
    return name


def _check_tables(members: Mapping[str, bytes]) -> None:
    """Every tensor is plain bytes in a file that is there; nothing is to be unpickled."""
    for table, named in _TABLES.items():
        entries = json.loads(members[table], object_pairs_hook=_once)["config"]
        for name, entry in entries.items():
            if entry["use_pickle"] is not False:
                raise _Refused(f"says that {name} would have to be unpickled")
            file = entry["path_name"]
            if not named.fullmatch(file) or f"{table.rpartition('/')[0]}/{file}" not in members:
                raise _Refused(f"keeps {name} in {file!r}, which would have to be unpickled")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("names one entry of a table twice")
    return found


def _archive(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(f"model/{name}", data)
        archive.writestr(f"model/{_EMPTY}", b"")  # PyTorch asks for it
        archive.writestr("model/.data/version", b"6\n")
    return buffer.getvalue()
