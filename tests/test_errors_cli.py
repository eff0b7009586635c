"""Errors are caught once, in the program: the words, the exit codes, and nothing else."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from fake_plugins import FakePlugin
from synctool import __version__, errors
from synctool.__main__ import main as started
from synctool.cli import app
from synctool.cli.common import show_error
from synctool.cli.options import Given, settings_options
from synctool.plugins import loader as plugins
from synctool.settings.base import row_of
from synctool.settings.detect import DetectSettings

posix_only = pytest.mark.skipif(os.name != "posix", reason="needs POSIX pipes")


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("SYNCTOOL_DEBUG", raising=False)
    log = logging.getLogger("synctool")
    monkeypatch.setattr(log, "handlers", [])
    monkeypatch.setattr(log, "level", log.level)
    with plugins.use():
        yield


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes one function the only command, ``run``."""

    def set_command(function: Callable[..., object]) -> None:
        function.__name__ = "run"
        monkeypatch.setattr(app, "COMMANDS", {"run": function})

    return set_command


def raising(error: BaseException) -> Callable[[], None]:
    def run() -> None:
        raise error

    return run


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.SyncToolError, 1),
        (errors.UsageError, 2),
        (errors.MissingError, 5),
        (errors.MediaError, 1),
        (errors.OutputError, 1),
        (errors.OutputNameError, 2),
        (errors.WeightsError, 1),
        (errors.PluginError, 1),
        (errors.TrainingError, 1),
    ],
)
def test_cause_remedy_and_exit_code(command, capsys, kind: type, code: int) -> None:
    command(raising(kind("the cause", remedy="The remedy.")))
    assert app.main(["run"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: the cause\nThe remedy.\n"


def test_the_exit_codes_are_those_of_the_design() -> None:
    assert errors.EXIT_OK == 0
    assert errors.EXIT_UNEXPECTED == 1
    assert errors.EXIT_USAGE == 2
    assert errors.EXIT_INCONCLUSIVE == 3
    assert errors.EXIT_OUT_OF_TOLERANCE == 4
    assert errors.EXIT_MISSING == 5


def test_every_error_of_the_tree_has_a_code() -> None:
    kinds = errors.SyncToolError.__subclasses__()
    assert len(kinds) >= 7
    assert {kind.exit_code for kind in kinds} <= {1, 2, 3, 4, 5}
    error = errors.UsageError("the cause", remedy="The remedy.")
    assert str(error) == "the cause. The remedy."
    assert str(errors.UsageError("the cause")) == "the cause"


def test_no_remedy_no_second_line(command, capsys) -> None:
    command(raising(errors.MediaError("the cause")))
    app.main(["run"])
    assert capsys.readouterr().err == "error: the cause\n"


@pytest.mark.parametrize("words", [["--debug", "run"], ["run", "--debug"]])
def test_debug_shows_the_traceback_and_keeps_the_code(command, capsys, words: list[str]) -> None:
    command(raising(errors.MissingError("the cause")))
    assert app.main(words) == 5
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "error: the cause" in err


@pytest.mark.parametrize(
    ("value", "shown"), [("1", True), ("yes", True), ("0", False), ("", False)]
)
def test_debug_by_environment(command, capsys, monkeypatch, value: str, shown: bool) -> None:
    monkeypatch.setenv("SYNCTOOL_DEBUG", value)
    command(raising(errors.MissingError("the cause")))
    assert app.main(["run"]) == 5
    assert ("Traceback" in capsys.readouterr().err) is shown


def test_debug_behind_two_dashes_is_a_word(command) -> None:
    seen = []

    def run(words: list[str]) -> None:
        seen.extend(words)

    command(run)
    assert app.main(["run", "a", "--", "--debug"]) == 0
    assert seen == ["a", "--debug"]


def test_anything_else_is_one_line_and_exit_1(command, capsys) -> None:
    command(raising(ValueError("two\nlines")))
    assert app.main(["run"]) == 1
    err = capsys.readouterr().err
    assert err == "error: ValueError: two lines\nRun again with --debug to see where.\n"


def test_anything_else_with_debug(command, capsys) -> None:
    command(raising(ValueError("odd")))
    assert app.main(["run", "--debug"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "Run again" not in err


@pytest.mark.parametrize("said", ["", "Stopped after 2 videos."])
def test_interrupt(command, capsys, said: str) -> None:
    command(raising(KeyboardInterrupt(*filter(None, [said]))))
    assert app.main(["run"]) == 130
    assert capsys.readouterr() == ("", (said or "Stopped.") + "\n")


def test_what_the_system_forbids_is_told_with_its_remedy(command, capsys) -> None:
    command(raising(PermissionError(errno.EACCES, "Permission denied", "locked/a.toml")))
    assert app.main(["run"]) == 5
    assert capsys.readouterr().err == (
        "error: cannot open locked/a.toml: Permission denied\n"
        "Check its permissions, and those of the folders above it.\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--config", "FILE"],
        ["train", "--data", "p", "--out", "run", "--init", "FILE"],
        ["detect", "none.mp4", "--weights", "FILE"],
        ["compare", "none.mp4", "--labels", "FILE"],
        ["download", "syncnet", "--from", "FILE"],
        ["adapt", "FILE", "-o", "w.safetensors"],
        ["watch", "FILE", "--report", "r", "--once"],
    ],
)
def test_a_file_that_may_not_be_read_is_no_wrong_use(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """What reads it says so, with a remedy, and not the parser of the command line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").touch()
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    app.main(words)
    assert "is not readable" not in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 3, 4])
def test_commands_choose_their_exit_code(command, code: int) -> None:
    command(raising(typer.Exit(code)))
    assert app.main(["run"]) == code


def test_a_command_that_ends_well(command) -> None:
    command(lambda: None)
    assert app.main(["run"]) == 0


def test_on_a_terminal_errors_stand_in_a_panel(command, capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    command(raising(errors.UsageError("[bold]the cause[/]", remedy="The remedy.")))
    assert app.main(["run"]) == 2
    err = capsys.readouterr().err
    assert "Error" in err
    assert "[bold]the cause[/]" in err, "user text is never markup"
    assert "The remedy." in err
    assert "╭" in err


@pytest.mark.parametrize("words", [["nope"], ["--nope"], ["plugins", "nope"]])
def test_wrong_words_on_the_command_line(capsys, words: list[str]) -> None:
    assert app.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "nope" in err


def test_ctrl_c_while_modules_are_read_shows_no_traceback(monkeypatch) -> None:
    class Read:
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "synctool.cli.app", Read())
    assert started() == 130


def test_version(capsys) -> None:
    assert app.main(["--version"]) == 0
    assert capsys.readouterr().out == f"synctool {__version__}\n"


@pytest.mark.parametrize("words", [["-h"], ["--help"], ["plugins", "-h"], ["backbones", "-h"]])
def test_help(capsys, words: list[str]) -> None:
    assert app.main(words) == 0
    assert "Usage: synctool" in capsys.readouterr().out


def test_a_strict_plugin_error_while_the_program_is_put_together(capsys) -> None:
    def fail(app: typer.Typer) -> None:
        raise RuntimeError("no commands today")

    strict = plugins.Plugins(strict=True)
    strict.register(FakePlugin(synctool_commands=fail), name="bad", distribution="bad-dist")
    with plugins.use(strict):
        assert app.main(["--help"]) == 1
    assert "no commands today" in capsys.readouterr().err


def test_half_a_plugin_leaves_no_commands_behind(capsys) -> None:
    def half(app: typer.Typer) -> None:
        app.command("first-half")(lambda: None)
        raise RuntimeError("gone")

    fake = plugins.Plugins()
    fake.register(FakePlugin(synctool_commands=half), name="bad")
    with plugins.use(fake):
        assert app.main(["--help"]) == 0
        assert "first-half" not in capsys.readouterr().out
        assert app.main(["first-half"]) == 2
    assert fake.records()[0].status == "broken"


PIPE = """
import os, sys
from synctool.plugins import loader as plugins
from synctool.settings.base import row_of
from synctool.settings.detect import DetectSettings
from synctool.cli import app
def run() -> None:
    for _ in range({lines}):
        print("x" * 100)
app.COMMANDS = dict(run=run)
with plugins.use():
    code = app.main(["run"])
os.write(2, b"code %d" % code)
sys.exit(code)
"""


@posix_only
@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_reader_that_goes_away_is_no_error(lines: int) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", PIPE.format(lines=lines)],
        stdout=write,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
        text=True,
        timeout=60,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "code 141")


def test_options_take_their_words_from_the_table(command, capsys, monkeypatch) -> None:
    @settings_options(DetectSettings)
    def run(given: Given[DetectSettings]) -> None:
        print(given.settings().max_offset)

    command(run)
    monkeypatch.setenv("COLUMNS", "200")
    assert app.main(["run", "--help"]) == 0
    assert row_of(DetectSettings, "max_offset").help_text in capsys.readouterr().out
    assert app.main(["run", "-k", "20"]) == 0
    assert app.main(["run"]) == 0
    assert capsys.readouterr().out.split() == ["20", "15"]
    assert app.main(["run", "--max-offset", "3"]) == 2
    assert "15 to 125" in capsys.readouterr().err


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The commands that do something, with the words that call them."""
    below = getattr(command, "commands", {})
    for word, one in below.items():
        yield from leaves(one, (*words, word))
    if not below:
        yield words, command


def test_help_fits_into_a_terminal_of_80_columns(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    group = get_command(app.build_app())
    for words, command in leaves(group):
        group([*words, "--help"], prog_name="synctool", standalone_mode=False)
        shown = capsys.readouterr().out
        examples = [line for line in cleandoc(command.help).splitlines() if line[:2] == "  "]
        assert examples, f"{words}: no example"
        assert not [e for e in examples if f" {e} " not in shown], f"{words}: folded"
        assert "…" not in shown and "<" not in shown, f"{words}: cut, or a type of Python"
        assert "[default:" not in shown, f"{words}: a default that is not said as elsewhere"
        assert "Exit codes:" in shown, f"{words}: exit codes"


def test_help_names_arguments_as_the_pages_do(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert app.main(["detect", "--help"]) == 0
    shown = capsys.readouterr().out
    assert (
        "synctool detect [OPTIONS] [VIDEOS...] " in shown and "│   VIDEOS...        Videos" in shown
    )
    assert app.main(["preprocess", "--help"]) == 0
    assert "synctool preprocess [OPTIONS] VIDEOS OUT " in capsys.readouterr().out


def test_a_flag_takes_back_what_the_environment_says(command, capsys, monkeypatch) -> None:
    @settings_options(DetectSettings)
    def run(given: Given[DetectSettings]) -> None:
        print(given.settings().allow_external)

    command(run)
    monkeypatch.setenv("SYNCTOOL_DETECT_ALLOW_EXTERNAL", "yes")
    assert app.main(["run"]) == 0
    assert app.main(["run", "--no-allow-external"]) == 0
    monkeypatch.delenv("SYNCTOOL_DETECT_ALLOW_EXTERNAL")
    assert app.main(["run", "--allow-external"]) == 0
    assert capsys.readouterr().out.split() == ["True", "False", "True"]


def test_help_has_no_line_breaks_inside_a_paragraph(command, capsys, monkeypatch) -> None:
    def run() -> None:
        """Do it
        at once.

        Examples:

          synctool run

        Exit codes: 0.
        """

    command(run)
    monkeypatch.setenv("COLUMNS", "80")
    assert app.main(["run", "--help"]) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert " Do it at once." in lines
    assert "   synctool run" in lines


def test_the_log_goes_to_stderr(command, capsys) -> None:
    log = logging.getLogger("synctool.somewhere")

    def run() -> None:
        log.warning("look")
        log.debug("closely")

    command(run)
    assert app.main(["run"]) == 0
    assert capsys.readouterr() == ("", "WARNING: look\n")
    assert app.main(["run", "--debug"]) == 0
    assert "DEBUG: closely" in capsys.readouterr().err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("words", [["--help"], ["backbones"], ["--version"]])
def test_a_full_disk_behind_stdout_is_one_clear_error(words: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "synctool", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == errors.EXIT_UNEXPECTED  # and not the 120 of an exit that fails again
    assert done.stderr.splitlines() == [
        "error: cannot write the standard output: No space left on device",
        "The disk is full: free some space, or choose another disk.",
    ]


def test_an_error_of_another_kind_is_not_blamed_on_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(app, "build_app", lambda: lambda **_: fail())
    assert app.main([]) == errors.EXIT_UNEXPECTED
    assert "standard output" not in capsys.readouterr().err


def test_nothing_in_an_error_steers_the_terminal(capfd) -> None:
    name = "w\x1b[31m\x1b]0;owned\x07\x9b2J.safetensors"
    for debug in (False, True):
        show_error(
            errors.SyncToolError(f"cause {name}", remedy=f"first {name}\nsecond"), debug=debug
        )
        said = capfd.readouterr().err
        assert "first w\\x1b[31m" in said and "\\x9b2J" in said and "\nsecond\n" in said
        assert not {c for c in said if ord(c) < 32 or 0x7F <= ord(c) < 0xA0} - {"\n"}
