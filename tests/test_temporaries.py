"""What a killed run leaves is removed by the next one; what another is writing stays."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import synctool
from synctool.files import write_text
from synctool.temporaries import scratch_file, scratch_folder, temporary_beside

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked there")

KILLED = """
import contextlib, os, signal, sys
from pathlib import Path
from synctool.temporaries import scratch_file, scratch_folder, temporary_beside
with contextlib.ExitStack() as stack:
    for target in map(Path, sys.argv[1:]):
        folder = not target.suffix
        path = stack.enter_context(temporary_beside(target, folder=folder))
        (path / "half" if folder else path).write_text("half")
    stack.enter_context(scratch_folder())
    file = scratch_file()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(folder: Path, *targets: Path) -> list[Path]:
    """What a killed run leaves of these targets, and in the folder for temporary files."""
    folder.mkdir(exist_ok=True)
    env = {**os.environ, "TMPDIR": str(folder)}
    subprocess.run([sys.executable, "-c", KILLED, *map(str, targets)], env=env, check=False)
    return [*folder.iterdir(), *(p for t in targets for p in t.parent.glob(".synctool-*"))]


def test_what_a_killed_run_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, folder = tmp_path / "a.json", tmp_path / "clip"
    left = killed(tmp_path / "tmp", file, folder)
    assert len(set(left)) == 4
    write_text(file, "whole")
    with temporary_beside(folder, folder=True) as beside:
        assert not list(beside.iterdir())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    with scratch_folder():
        pass
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.json", "tmp"]


def test_two_who_write_one_file_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    with temporary_beside(target) as first:
        with temporary_beside(target) as second:
            assert first != second
            second.write_text("second")
            second.replace(target)
        assert first.exists()
        first.write_text("first")
        first.replace(target)
        with temporary_beside(target) as third:
            assert third == first
            third.write_text("third")
    assert os.listdir(tmp_path) == ["a.json"]
    assert target.read_text() == "first"


def test_the_name_of_another_run_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    with temporary_beside(target) as first:
        first.replace(target)
        other = temporary_beside(target)
        path = other.__enter__()
        assert path == first
    assert path.exists(), "the first has moved its own, and this one is another's"
    other.__exit__(None, None, None)
    assert not path.exists()


def test_what_is_in_use_is_not_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "synctool-tests.scratch.txt").touch()
    with scratch_folder() as folder, scratch_file() as file, scratch_folder():
        assert folder.is_dir() and os.path.exists(file.name)
    assert os.listdir(tmp_path) == ["synctool-tests.scratch.txt"]


UNLOCKED = {"TemporaryDirectory", "mkdtemp", "NamedTemporaryFile", "mkstemp"}
"""What of ``tempfile`` stays when its process is killed, and which no later run would know for its own."""


def test_temporary_files_of_the_system_are_made_in_one_place() -> None:
    """In a folder of ``scratch_folder`` there may be others, as they go with it."""
    package = Path(synctool.__file__).parent
    found = [
        f"{path.relative_to(package)}:{call.lineno}"
        for path in sorted(package.rglob("*.py"))
        if path.name != "temporaries.py"
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and getattr(call.func, "attr", getattr(call.func, "id", "")) in UNLOCKED
        and "dir" not in {keyword.arg for keyword in call.keywords}
    ]
    assert found == []
