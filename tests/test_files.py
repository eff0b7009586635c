"""Files are written whole or not at all, and what fails says what to do."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from synctool.errors import OutputError
from synctool.files import (
    atomic_path,
    atomic_write,
    check_writable,
    make_folder,
    output_error,
    write_bytes,
    write_text,
)

unix = pytest.mark.skipif(sys.platform == "win32", reason="permissions and pipes of Unix")


def test_a_file_is_written_and_nothing_else_is_left(tmp_path: Path) -> None:
    target = tmp_path / 'it\'s a "video" 😀.json'
    write_text(target, "first\n")
    write_bytes(target, b"second\n")
    assert target.read_bytes() == b"second\n"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failure_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(target) as handle:
        handle.write(b"half of the n")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_old_file_is_there_until_the_end(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    target.write_text("old")
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
        assert (temporary.parent, temporary.suffix) == (tmp_path, ".png")
    assert target.read_text() == "new"


@unix
def test_the_new_file_is_another_one(tmp_path: Path) -> None:
    target, other_name = tmp_path / "a", tmp_path / "b"
    target.write_text("old")
    other_name.hardlink_to(target)
    write_text(target, "new")
    assert (target.read_text(), other_name.read_text()) == ("new", "old")


@unix
def test_permissions_are_kept_and_ordinary_for_a_new_file(tmp_path: Path) -> None:
    old, new, plain = tmp_path / "old", tmp_path / "new", tmp_path / "plain"
    old.write_text("x")
    old.chmod(0o640)
    plain.write_text("x")
    write_text(old, "y")
    write_text(new, "y")
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert new.stat().st_mode == plain.stat().st_mode


@unix
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    link = tmp_path / "link"
    link.symlink_to("real")
    write_text(link, "new")
    assert link.is_symlink()
    assert (tmp_path / "real").read_text() == "new"


@unix
def test_devices_are_written_to_and_not_replaced() -> None:
    write_bytes(os.devnull, b"x")
    assert not Path(os.devnull).is_file()


@unix
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_says_so() -> None:
    with pytest.raises(OutputError) as caught:
        write_bytes("/dev/full", b"x")
    assert "free some space" in caught.value.remedy


def test_what_cannot_be_written_has_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path, remedy in (
        (tmp_path / "none" / "a.json", f"Create the folder {tmp_path / 'none'} first"),
        (tmp_path, "name of a file"),
        (tmp_path / ("a" * 300), "shorter name"),
    ):
        with pytest.raises(OutputError) as caught:
            write_bytes(path, b"x")
        assert remedy in caught.value.remedy
        assert str(path) in caught.value.cause
        assert ".synctool-" not in str(caught.value)


@unix
def test_a_file_for_a_folder_has_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="choose another path"):
        write_bytes(tmp_path / "file" / "a.json", b"x")


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.EACCES, "permissions of"), (errno.EROFS, "read-only"), (errno.EIO, "another place")],
)
def test_remedies(number: int, remedy: str) -> None:
    error = output_error("out/a.json", OSError(number, os.strerror(number)))
    assert remedy in error.remedy
    assert error.cause == f"cannot write out/a.json: {os.strerror(number)}"


def test_a_place_that_cannot_be_looked_at_has_a_remedy(monkeypatch) -> None:
    def refused(path: Path, **_: object) -> os.stat_result:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refused)
    for check, name in ((check_writable, "locked/x"), (make_folder, "x")):
        with pytest.raises(OutputError, match=f"cannot write {name}: Permission denied") as caught:
            check(Path(name))
        where = "locked" if "/" in name else "this folder"
        assert caught.value.remedy == f"Check the permissions of {where}, or choose another place."


def test_a_missing_input_is_not_blamed_on_the_output(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a.json"):
        (tmp_path / "input").read_bytes()
    assert list(tmp_path.iterdir()) == []
