"""Every ``synctool ...`` of the pages is one that the program takes, and the cheap ones are run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from synctool.cli.app import COMMANDS, GROUPS, build_app, main
from synctool.errors import EXIT_INCONCLUSIVE, EXIT_OK, EXIT_OUT_OF_TOLERANCE
from synctool.settings.base import rows
from synctool.settings.sources import SECTIONS
from synctool.synthetic.scene import OffsetAt, Scene
from synctool.synthetic.video import write_scene

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "commands.md"),
    *sorted((ROOT / "plugins").glob("*/README.md")),
]
_STARTS = re.compile(r"^(?:.*?(?:\||&&|=|\$|then|do) ?|.*/)?synctool (.+)$")
_ENDS = {"|", "||", "&&", ">", ">>", "2>", ";", "<"}
_HOLES = {"N": "3", "X": "80", "TIME": "2.0"}
"""What placeholders of the pages stand for, where a number is wanted."""


@dataclass(frozen=True)
class Documented:
    """A command line of a page: the words after ``synctool``, and whether text only mentions it."""

    page: str
    words: tuple[str, ...]
    mentioned: bool = False

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def lines_of(text: str) -> Iterator[tuple[str, bool]]:
    """The lines of blocks, joined where they end in a backslash, and what stands in backticks of the text."""
    for language, block in re.findall(r"^ *```(\w*)[^\n]*\n(.*?)^ *```", text, re.S | re.M):
        if language in ("", "sh", "bash", "ini", "console"):
            yield from ((line, False) for line in block.replace("\\\n", " ").splitlines())
    outside = re.sub(r"^ *```.*?^ *```", "", text, flags=re.S | re.M)
    yield from ((line, True) for line in re.findall(r"`(synctool [^`]+)`", outside))


def documented(text: str, page: str) -> Iterator[Documented]:
    """The commands of a page."""
    for line, mentioned in lines_of(text):
        if line.lstrip().startswith("#") or not (found := _STARTS.match(line.strip())):
            continue
        words = []
        for word in shlex.split(found.group(1), comments=True):
            if word in _ENDS:
                break
            words.append(word)
        if "..." in words:  # what is left out is on the same page
            continue
        yield Documented(page, tuple(words), mentioned)


def commands() -> list[Documented]:
    found = [
        command
        for page in PAGES
        for command in documented(page.read_text("utf-8"), page.relative_to(ROOT).as_posix())
    ]
    return list(dict.fromkeys(found))


@cache
def program() -> Any:
    return get_command(build_app())


def refused(words: tuple[str, ...]) -> str | None:
    """Why the program does not take a command line; None where it does. Nothing is run."""
    args = [_HOLES.get(word, word.removesuffix("...").strip("[]")) for word in words]
    command: Any = program()
    if args[0] in {"COMMAND", "NAME"}:
        return None
    if args[0].startswith("-"):
        known = {name for option in command.params for name in option.opts} | {"--help"}
        return None if set(args) <= known else f"no option {args}"
    try:
        context = None
        while hasattr(command, "resolve_command"):
            if not args:
                return "Missing command."
            context = command.make_context("synctool", list(args))
            rest = [*vars(context).get("_protected_args", ()), *context.args]
            _, command, args = command.resolve_command(context, rest)
        context = command.make_context(command.name, list(args))
    except typer.Exit:  # --help
        return None
    except Exception as error:
        return getattr(error, "format_message", error.__str__)()
    return value_refused(command.name, context.params)


def value_refused(command: str, flags: dict[str, Any]) -> str | None:
    """Why a setting among the flags is refused; words in capitals stand for any value."""
    for row in rows(SECTIONS[command]) if command in SECTIONS else ():
        value = flags.get(row.name)
        if not value or (isinstance(value, str) and re.fullmatch(r"[A-Z,_]+", value)):
            continue
        try:
            row.parse(value, text=isinstance(value, str))
        except ValueError as error:
            return f"{row.flag}: {error}"
    return None


@pytest.mark.parametrize("command", commands(), ids=str)
def test_the_program_takes_the_command(command: Documented) -> None:
    why = refused(command.words)
    assert why is None or (command.mentioned and why.startswith("Missing"))


def test_all_commands_are_on_a_page() -> None:
    named = {command.words[0] for command in commands() if command.words}
    assert named >= {*COMMANDS, *GROUPS}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("detect talk.mp4 --jsn r.json", "No such option: --jsn"),
        ("detekt talk.mp4", "No such command 'detekt'"),
        ("detect talk.mp4 -k 3", "out of range"),
        ("compare a.mp4 --part tset", "is not one of"),
        ("plugins lst", "No such command 'lst'"),
        ("detect talk.mp4 --json", "requires an argument"),
        ("doctor now", "Got unexpected extra argument"),
    ],
)
def test_a_wrong_command_would_be_seen(line: str, why: str) -> None:
    (found,) = documented(f"```sh\nsynctool {line}  # so\n```", "page")
    assert why in (refused(found.words) or "")


def test_where_commands_stand_in_a_line() -> None:
    block = "```sh\nfind . | synctool detect - --json - | jq .\n$ synctool demo \\\n --seed 3 > log\n```\n"
    text = f"{block}`synctool doctor`"
    assert [" ".join(c.words) for c in documented(text, "p")] == [
        "detect - --json -",
        "demo --seed 3",
        "doctor",
    ]


# --------------------------------------------------------------------------- run

RUN = {
    "README.md": ("detect talk.mp4 --json", "fix talk.mp4", "detectors", "plugins list"),
    "docs/detect-page.md": ("detect talk.mp4 --html",),
    "docs/over-time.md": ("detect joined.mov --markers joined.edl",),
    "docs/settings.md": ("config init", "config show detect"),
    "docs/backbones.md": ("backbones",),
    "docs/download.md": ("download list", "download show syncnet", "download verify"),
    "docs/robustness.md": ("compare --perturb list",),
    "docs/plugins.md": ("plugins new lips",),
}
"""By page, how the commands begin that are cheap enough to be run; each needs one such on its page."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the videos lie that the pages name."""
    place = tmp_path_factory.mktemp("place")
    for name in ("talk.mp4", "joined.mov"):
        made = Scene(4.0, (OffsetAt(0.0, 160.0),), seed=5, size_px=(426, 240))
        write_scene(made, place / name)
    return place


@pytest.mark.integration
@pytest.mark.parametrize(
    ("page", "begin"), [(page, begin) for page, begins in RUN.items() for begin in begins]
)
def test_the_command_runs(
    page: str,
    begin: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SYNCTOOL_CACHE", str(folder / "cache"))
    words = next(
        c.words for c in commands() if c.page == page and " ".join(c.words).startswith(begin)
    )
    assert main(words) in {EXIT_OK, EXIT_INCONCLUSIVE, EXIT_OUT_OF_TOLERANCE}, (
        capsys.readouterr().err
    )
    for option in ("--json", "--html", "--plot", "--markers", "-o"):
        if option in words and "--dry-run" not in words:
            assert Path(words[words.index(option) + 1]).stat().st_size > 100
