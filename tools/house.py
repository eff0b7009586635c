"""Draw the rooms of the package and who imports whom into docs/architecture.md; with --check only say
whether the drawing is stale.

python tools/house.py [--check]

The drawing is made from the imports in the source, those inside functions and for type checkers too. An
arrow that follows from others (A uses B, B uses C, so A may use C) is left out. Line counts are of the day
that the drawing was made: only names and arrows are compared.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "synctool"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- house -->", "<!-- /house -->"

GROUND = "ground"
"""All modules that are in no folder stand in one box, but for those below, and with them..."""
UNDERGROUND = {"untrusted"}
"""... the folders that they import."""
FOR_AUTHORS = {"testing", "contract"}
"""What authors of plugins import: no part of the program."""
APART = {"comparison.degradations": "degradations"}
"""Folders in a room that are a room of their own: training uses them, and comparison uses training."""


def room_of(module: str) -> str | None:
    """The room of ``synctool.A.B``; None for the package's public face and for what authors use."""
    words = module.split(".")[1:]
    if not words or words[0] in {"__init__", "__main__", *FOR_AUTHORS}:
        return None
    apart = APART.get(".".join(words[:2]))
    if apart:
        return apart
    is_room = words[0] not in UNDERGROUND and (PACKAGE / words[0]).is_dir()
    return words[0] if is_room else GROUND


def imported_modules(path: Path) -> Iterator[str]:
    """What a file imports of the package, as ``synctool.A.B.name``."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module.split(".")[0] == "synctool":
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "synctool")


def house() -> tuple[dict[str, int], dict[str, set[str]]]:
    """Lines of every room, and the rooms that each imports.

    Raises:
        SystemExit: Rooms import each other in a circle.
    """
    lines: dict[str, int] = {}
    uses: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        words = path.relative_to(PACKAGE).with_suffix("").parts
        room = room_of(".".join(["synctool", *words]))
        if room is None:
            continue
        lines[room] = lines.get(room, 0) + len(path.read_text("utf-8").splitlines())
        found = {room_of(module) for module in imported_modules(path)}
        uses.setdefault(room, set()).update(other for other in found if other and other != room)
    return lines, uses


def reached(room: str, uses: dict[str, set[str]]) -> set[str]:
    """Every room that one imports, directly or through others."""
    found: set[str] = set()
    waiting = [room]
    while waiting:
        for other in uses[waiting.pop()] - found:
            found.add(other)
            waiting.append(other)
    if room in found:
        sys.exit(f"{room} imports itself through {', '.join(sorted(found))}")
    return found


def needed_arrows(uses: dict[str, set[str]]) -> list[tuple[str, str]]:
    """Arrows without those that follow from others."""
    below = {room: reached(room, uses) for room in uses}
    return sorted(
        (room, other)
        for room, others in uses.items()
        for other in others
        if not any(other in below[between] for between in others)
    )


def drawing() -> str:
    """The Mermaid drawing, rooms in the order of their names."""
    lines, uses = house()
    boxes = [f'    {room}["{room}<br>{lines[room]:,} lines"]' for room in sorted(lines)]
    arrows = [f"    {room} --> {other}" for room, other in needed_arrows(uses)]
    return "\n".join(["```mermaid", "graph TD", *boxes, *arrows, "```"])


def without_counts(text: str) -> str:
    """A drawing without its line counts."""
    return re.sub(r"<br>[\d,]+ lines", "", text)


def main() -> None:
    """Write or check."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    old, mark, after = rest.partition(END)
    if not mark:
        sys.exit(f"{PAGE} has no place for the drawing: {BEGIN} and {END}")
    made = drawing()
    if "--check" in sys.argv[1:]:
        if without_counts(old.strip()) != without_counts(made):
            sys.exit(f"the drawing in {PAGE} is stale: run python tools/house.py")
        return
    PAGE.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
