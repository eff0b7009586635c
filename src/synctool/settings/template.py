"""A settings file to begin with: every setting with its help and its default, all commented out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from synctool.settings.base import rows
from synctool.settings.fields import Setting
from synctool.settings.sources import ENV_FILE, SECTIONS, env_name

_WIDTH = 100
_HEAD = f"""\
# Settings of synctool. A line without its leading # holds; what is in no line has its default.
# The file is read as synctool.toml in the current folder, or where {ENV_FILE} says.
# The environment wins over it ({env_name("detect", "max_offset")}=30), and a flag wins over both.
# synctool config show says what holds, and from where.
"""


def template(sections: Iterable[str] = ()) -> str:
    """The file.

    Args:
        sections: Names of commands; none for all.
    """
    chosen = list(sections) or list(SECTIONS)
    return "\n".join([_HEAD, *("\n".join(_section(name)) for name in chosen)])


def _section(name: str) -> Iterator[str]:
    yield f"[{name}]"
    yield ""
    for row in rows(SECTIONS[name]):
        if not row.line.flag_only:
            yield from _comment(row.help_text)
            yield f"#{row.name} = {_toml(_example(row))}"
            yield ""


def _comment(text: str) -> Iterator[str]:
    line = "#"
    for word in text.split():
        if len(line) + len(word) >= _WIDTH:
            yield line
            line = "#"
        line += f" {word}"
    yield line


def _example(row: Setting) -> Any:
    """The default, or where there is none something of the right kind."""
    value = row.plain(row.default)
    if value is not None:
        return list(value) if isinstance(value, tuple) else value
    if row.kind in (int, float):
        return row.kind(row.line.minimum or 0)
    return [] if row.kind is tuple and not row.line.separator else row.metavar


def _toml(value: Any) -> str:
    import tomli_w

    return tomli_w.dumps({"x": value}).removeprefix("x = ").strip()
