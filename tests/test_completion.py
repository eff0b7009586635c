"""Completion of the shells: the scripts that are shown and installed, and what they are told.

In this process, but for bash, which starts the program itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from synctool.cli.app import main

pytestmark = pytest.mark.integration

PROGRAM = "import sys; from synctool.cli.app import main; sys.exit(main())"
COMPLETE = "_SYNCTOOL_COMPLETE"
SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")


def asked(shell: str, words: str) -> dict[str, str]:
    """The environment in which a shell asks what a line may go on with."""
    args = {"_TYPER_COMPLETE_ARGS": words}
    last = words.rpartition(" ")[2]
    own = {
        "bash": {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))},
        "zsh": args,
        "fish": {**args, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
        "powershell": {**args, "_TYPER_COMPLETE_WORD_TO_COMPLETE": last},
        "pwsh": {**args, "_TYPER_COMPLETE_WORD_TO_COMPLETE": last},
    }
    return {COMPLETE: f"complete_{shell}", **own[shell]}


@pytest.fixture
def said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[dict[str, str]], str]:
    """What the program prints with such an environment."""

    def run(env: dict[str, str]) -> str:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        main([])
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_is_told_commands_and_values(shell: str, said: Callable) -> None:
    told = said(asked(shell, "synctool de"))
    assert "detect" in told and "detectors" in told and "train" not in told
    told = said(asked(shell, "synctool config show det"))
    assert "detect" in told and "detectors" not in told


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("bash", "complete -o default -F _synctool_completion synctool"),
        ("zsh", "compdef _synctool_completion synctool"),
        ("fish", "complete --command synctool"),
        ("powershell", "Register-ArgumentCompleter -Native -CommandName synctool"),
        ("pwsh", "Register-ArgumentCompleter -Native -CommandName synctool"),
    ],
)
def test_every_shell_has_its_script(shell: str, line: str, said: Callable) -> None:
    assert line in said({COMPLETE: f"source_{shell}"})


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this computer")
def test_bash_installs_and_completes(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "synctool"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{PROGRAM}\n")
    program.chmod(0o755)
    env = {
        **os.environ,
        "HOME": str(tmp_path),
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    script = (
        "synctool --install-completion >/dev/null && . ~/.bashrc && COMP_WORDS=(synctool det) && "
        'COMP_CWORD=1 && _synctool_completion synctool && echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True)
    assert done.stdout.split() == ["detect", "detectors"], done.stderr
