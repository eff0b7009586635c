"""Nothing in file names, metadata or the command line steers the terminal that shows it."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Annotated

import pytest
import typer

from fake_results import made_result
from synctool.cli import app, common
from synctool.cli.outputs import JsonOutput
from synctool.cli.progress import bytes_bar, progress_bar
from synctool.names import printable, printable_document, printable_lines
from synctool.report.csv_out import write_csv
from synctool.report.json_out import dump, to_json, to_json_line

NAME = "a\x1b[31m\x07\x7f\x85\x9b2J\x9d0;t\x9c\u061c\u202e4pm.\u2066\u2069\u200f\u2028b"
STEERING = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def assert_safe(shown: str) -> None:
    assert not STEERING.findall(shown)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes the streams of this moment say that they are terminals, without colours: so all escapes are
    foreign ones."""

    def pretend() -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        monkeypatch.setenv("TERM", "dumb")
        monkeypatch.setenv("NO_COLOR", "1")

    return pretend


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., None]], None]:
    """Adds a command ``run`` to the program."""

    def add(function: Callable[..., None]) -> None:
        function.__name__ = "run"
        monkeypatch.setattr(app, "COMMANDS", {"run": function})

    return add


def test_every_mark_is_escaped_and_every_other_character_kept() -> None:
    assert_safe(printable(NAME))
    assert printable("\x9b\u202e\u061c\n") == "\\x9b\\u202e\\u061c\\n"
    assert printable_lines("a\x9b\nb") == "a\\x9b\nb"
    assert printable("😀 映画 فيلم é") == "😀 映画 فيلم é"


def test_json_is_safe_and_comes_back() -> None:
    odd = f"{NAME}\udcff"  # no valid Unicode, and so written in ASCII
    assert_safe(dump(odd))
    assert json.loads(dump(odd)) == odd
    for text in (dump({NAME: NAME}), dump({NAME: [NAME]}, indent=2)):
        assert_safe(text)
        assert NAME in json.loads(text)
    assert '"\\u009b\\u202e"' in dump("\x9b\u202e")
    for write in (to_json, to_json_line):
        text = write(made_result(NAME))
        assert_safe(text)
        assert json.loads(text)["input"] == NAME


def test_json_of_lists_is_safe_and_valid(capsys: pytest.CaptureFixture[str]) -> None:
    data = [{"name": NAME, "odd": "\udcff", "none": float("nan")}]
    JsonOutput("-").write(data)
    shown = capsys.readouterr().out
    assert_safe(shown)
    assert json.loads(shown) == [{**data[0], "none": None}]


def test_toml_is_safe_and_comes_back() -> None:
    import tomli_w

    try:
        import tomllib
    except ModuleNotFoundError:
        import tomli as tomllib
    text = printable_document(tomli_w.dumps({"train": {"data": [NAME], NAME: 1}}))
    assert_safe(text)
    assert tomllib.loads(text) == {"train": {"data": [NAME], NAME: 1}}


def test_csv_is_safe_on_a_terminal_and_itself_elsewhere(
    capfd: pytest.CaptureFixture[str], terminal: Callable[[], None], tmp_path: Path
) -> None:
    terminal()
    write_csv([made_result(NAME)], "-")
    assert_safe(capfd.readouterr().out)
    write_csv([made_result(NAME)], tmp_path / "a.csv")
    assert NAME in (tmp_path / "a.csv").read_bytes().decode()


def test_the_log(command, capsys: pytest.CaptureFixture[str]) -> None:
    def run() -> None:
        try:
            raise ValueError(NAME)
        except ValueError:
            logging.getLogger("synctool.x").warning("look at %s", NAME, exc_info=True)

    command(run)
    assert app.main(["run"]) == 0
    shown = capsys.readouterr().err
    assert_safe(shown)
    assert "look at a\\x1b[31m" in shown and "ValueError: a\\x1b[31m" in shown


@pytest.mark.parametrize("drawn", [False, True])
def test_tables(drawn: bool, terminal, capsys: pytest.CaptureFixture[str]) -> None:
    if drawn:
        terminal()
    common.print_table(["name", "kind"], [[NAME, "x"], ["b", "y"]])
    shown = capsys.readouterr().out
    assert_safe(shown)
    assert "a\\x1b[31m" in shown


def test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    common.print_text(f"made {NAME}\nnext")
    shown = capsys.readouterr().out
    assert_safe(shown)
    assert shown.endswith("\nnext\n")


@pytest.mark.parametrize(
    "words",
    [
        [NAME],
        ["run", f"--{NAME}"],
        ["run", "a", "--number", NAME],
        ["run", "a", NAME],
        ["run", "--file", f"/nowhere/{NAME}", "a"],
        [f"--{NAME}"],
        ["plugins", NAME],
        ["plugins", "list", NAME],
    ],
)
@pytest.mark.parametrize("panel", [False, True])
def test_usage_errors(words, panel: bool, terminal, command, capsys) -> None:
    def run(
        word: str,
        number: Annotated[int, typer.Option()] = 0,
        file: Annotated[Path | None, typer.Option(exists=True)] = None,
    ) -> None: ...

    if panel:
        terminal()
    command(run)
    assert app.main(words) == 2
    shown = capsys.readouterr().err
    assert_safe(shown)
    assert "Usage: synctool" in shown


@pytest.mark.parametrize("bar", [progress_bar, bytes_bar])
def test_progress(bar, terminal: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> None:
    terminal()
    with bar(quiet=False) as shown:
        shown.add_task(f"fetching {NAME}", total=1, speed="", note=NAME)
        assert_safe(shown.columns[0].render(shown.tasks[0]).plain)
        text = StringIO()
        shown.console.file, before = text, shown.console.file
        shown.console.print(shown.make_tasks_table(shown.tasks))
        shown.console.file = before
    assert "\x9b" not in text.getvalue() and "\u202e" not in text.getvalue()


def test_the_traceback_of_one_video(capsys: pytest.CaptureFixture[str]) -> None:
    common.show_traceback(ValueError(NAME))
    assert_safe(capsys.readouterr().err)
