"""Write docs/commands.md from the commands themselves; with --check only say whether it is stale.

python tools/command_reference.py [--check]
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

from typer.main import get_command

from synctool.cli.app import argument_name, build_app

TARGET = Path(__file__).resolve().parent.parent / "docs" / "commands.md"
_HEAD = """# Commands

Made from the program's own help by `python tools/command_reference.py`; do not edit.
Settings can also come from `synctool.toml` (or the file that `SYNCTOOL_CONFIG` names; one table per
command, for example `[detect]` with `max_offset = 30`) and from the environment
(`SYNCTOOL_DETECT_MAX_OFFSET=30`). A flag wins over the environment, that over the file, that over the
default.
"""


def reference() -> str:
    """The whole page."""
    parts = [_HEAD]
    _describe(get_command(build_app()), "synctool", parts)
    return "\n".join(parts)


def _describe(command: Any, name: str, parts: list[str]) -> None:
    parts.append(f"## {name}\n")
    parts.append(_text(command.help) + "\n")
    rows = [_row(p) for p in command.params if not getattr(p, "hidden", False)]
    if rows:
        parts.append("| argument or option | |\n|---|---|")
        parts.extend(f"| `{left}` | {right} |" for left, right in rows)
        parts.append("")
    for word, below in getattr(command, "commands", {}).items():
        _describe(below, f"{name} {word}", parts)


def _row(parameter: Any) -> tuple[str, str]:
    if parameter.param_type_name == "argument":
        left = parameter.metavar or argument_name(parameter)
    else:
        left = ", ".join((*parameter.opts, *parameter.secondary_opts))
        if not parameter.is_flag:
            left += f" {parameter.metavar or parameter.name.upper()}"
    return left.replace("|", "\\|"), _text(getattr(parameter, "help", "") or "").replace("|", "\\|")


def _text(text: str | None) -> str:
    """Help without its indentation; examples, which are indented, become code."""
    lines = inspect.cleandoc(text or "").splitlines()
    return "\n".join(f"    {line.strip()}" if line.startswith("  ") else line for line in lines)


def main() -> None:
    """Write or check."""
    made = reference()
    if "--check" in sys.argv[1:]:
        if not TARGET.is_file() or TARGET.read_text("utf-8") != made:
            sys.exit(f"{TARGET} is stale: run python tools/command_reference.py")
        return
    TARGET.write_text(made, "utf-8")


if __name__ == "__main__":
    main()
