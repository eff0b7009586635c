"""The words of ``synctool download`` for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synctool.downloads.run import Downloaded, EntryState, Plan, Verified
    from synctool.plugins.specs import CatalogueFile

_HERE = {"here": "yes", "incomplete": "in part", "not here": "no"}


def row(state: EntryState) -> list[str]:
    """One line of the list."""
    entry = state.entry
    size = "-" if entry.size_bytes is None else _amount(entry.size_bytes)
    here = _HERE[state.status]
    return [entry.name, entry.kind, size, entry.access, here, entry.summary, entry.licence]


def entry(state: EntryState) -> str:
    """All that is known of one entry."""
    known = state.entry
    where = "in" if state.status != "not here" else "would go to"
    rows = {
        "kind": known.kind,
        "homepage": known.homepage,
        "licence": known.licence + (f" ({known.licence_url})" if known.licence_url else ""),
        "access": known.access + (f": {known.access_note}" if known.access_note else ""),
        "size": "not known" if known.size_bytes is None else _amount(known.size_bytes),
        "unpacked": f"about {_amount(known.unpacked_bytes)}" if known.unpacked_bytes else "",
        "here": f"{_HERE[state.status]}, {where} {state.folder}",
    }
    if known.hub:
        patterns = ", ".join(known.hub.patterns)
        rows["hub"] = f"{known.hub.repo}, version {known.hub.revision}: {patterns}"
    lines = [f"{known.name}: {known.summary}"]
    lines += [f"  {name:<9} {value}" for name, value in rows.items() if value]
    for found in state.files:
        file = found.file
        lines.append(f"  {file.path}  {_size(file)}  {_checksum(file)}  {found.status}")
        lines += [f"    {url}" for url in file.urls]
    return "\n".join(lines)


def planned(plan: Plan) -> str:
    """What a download would do."""
    state = plan.state
    if state.status == "here":
        return f"{state.entry.name}: is here already, in {state.folder}"
    lines = [f"{state.entry.name}: to {state.folder}"]
    for found in state.missing:
        size = "size not known" if found.to_come is None else _amount(found.to_come)
        held = f" ({_amount(found.held)} are here)" if found.held else ""
        lines.append(f"  {found.file.path}: {size}{held} from {found.file.urls[0]}")
    if state.entry.hub:
        patterns = ", ".join(state.entry.hub.patterns)
        lines.append(f"  {patterns} from {state.entry.hub.repo} on the Hub, sizes not known")
    else:
        more = f" and {_count(plan.unknown_sizes)} of unknown size" if plan.unknown_sizes else ""
        lines.append(f"  to fetch: {_amount(plan.bytes_to_fetch)}{more}")
    if plan.bytes_to_unpack:
        lines.append(f"  to unpack: about {_amount(plan.bytes_to_unpack)}")
    fits = plan.bytes_to_fetch + plan.bytes_to_unpack <= plan.bytes_free
    short = "" if fits else ", which is not enough: choose another disk with --dest"
    return "\n".join([*lines, f"  free: {_amount(plan.bytes_free)}{short}"])


def downloaded(result: Downloaded) -> str:
    """What became of an entry."""
    if not result.files and not result.unpacked:
        return f"{result.name}: is here already, in {result.folder}"
    parts = []
    if result.files:
        how = "checked" if result.checked else "not all with a published checksum"
        parts.append(f"{_count(len(result.files))} ({_amount(result.bytes_come)}), {how}")
    if result.unpacked:
        parts.append(f"{_count(result.unpacked)} unpacked")
    return f"{result.name}: {'; '.join(parts)}, in {result.folder}"


def verified(results: Sequence[Verified]) -> str:
    """What is right and what is not."""
    lines = []
    for result in results:
        where = f", in {result.folder}" if result.folder else ""
        lines.append(f"{result.name}: {result.status}{where}")
        for check in result.files:
            detail = f" ({check.detail})" if check.detail else ""
            lines.append(f"  {check.path}: {check.status}{detail}")
        if result.status == "damaged":
            lines.append(f"  Delete what is damaged, and run: synctool download {result.name}")
    return "\n".join(lines) or "nothing is here"


def _count(files: int) -> str:
    return "1 file" if files == 1 else f"{files} files"


def _size(file: CatalogueFile) -> str:
    return "size not known" if file.size is None else _amount(file.size)


def _checksum(file: CatalogueFile) -> str:
    if file.sha256 or file.sha256_prefix:
        return f"SHA-256 {file.sha256 or f'{file.sha256_prefix}...'}"
    return f"MD5 {file.md5}" if file.md5 else "no checksum known"


def _amount(count: int) -> str:
    from synctool.downloads.run import amount

    return amount(count)
