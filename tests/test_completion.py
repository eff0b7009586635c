"""Completion of the shells: the scripts that are shown and installed, and what they are told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fake_plugins import run_python

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


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_is_told_commands_and_values(shell: str, tmp_path: Path) -> None:
    done = run_python(PROGRAM, env={**os.environ, **asked(shell, "synctool de")}, cwd=tmp_path)
    assert "detect" in done.stdout and "detectors" in done.stdout and "train" not in done.stdout
    words = "synctool config show det"
    done = run_python(PROGRAM, env={**os.environ, **asked(shell, words)}, cwd=tmp_path)
    assert "detect" in done.stdout and "detectors" not in done.stdout


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
def test_every_shell_has_its_script(shell: str, line: str, tmp_path: Path) -> None:
    env = {**os.environ, COMPLETE: f"source_{shell}"}
    assert line in run_python(PROGRAM, env=env, cwd=tmp_path).stdout


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
