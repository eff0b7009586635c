"""Folders on this machine and in object stores, in the same words."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from synctool.data.storage import Storage, storage
from synctool.errors import MissingError, OutputError


@pytest.fixture(params=["local", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path / "a b")
    return f"memory://{tmp_path.name}/a b"


@pytest.fixture
def folder(place: str) -> Storage:
    made = storage(place)
    made.make()
    return made


def test_what_is_written_is_read_and_listed(folder: Storage) -> None:
    folder.write("shard-1.json", b"one")
    folder.write("shard-0.json", b"zero")
    folder.write("deep/er/file.mp4", b"12345")
    assert folder.names("shard-*.json") == ["shard-0.json", "shard-1.json"]
    assert folder.read("shard-1.json") == b"one"
    assert folder.exists("deep/er/file.mp4") and not folder.exists("deep/none")
    assert folder.exists()
    assert dict(folder.walk(lambda *_: None)) == {
        "deep/er/file.mp4": 5,
        "shard-0.json": 4,
        "shard-1.json": 3,
    }
    with folder.local("deep/er/file.mp4") as path:
        assert path.read_bytes() == b"12345" and path.suffix == ".mp4"
    folder.write("shard-1.json", b"two")
    assert folder.read("shard-1.json") == b"two"
    folder.remove("shard-1.json")
    folder.remove("shard-1.json")
    assert not folder.exists("shard-1.json")


def test_a_broken_write_leaves_what_was_there(folder: Storage) -> None:
    folder.write("a", b"before")
    with pytest.raises(RuntimeError), folder.writing("a") as file:
        file.write(b"half")
        raise RuntimeError
    assert folder.read("a") == b"before"
    assert [name for name, _ in folder.walk(lambda *_: None)] == ["a"]


def test_folders_are_put_whole(folder: Storage, tmp_path: Path) -> None:
    for content in (b"1", b"2"):
        made = tmp_path / "made"
        (made / "frames").mkdir(parents=True)
        (made / "frames/0.jpg").write_bytes(content)
        folder.put_folder(made, "id/clip")
        assert folder.read("id/clip/frames/0.jpg") == content
        if made.exists():
            for path in sorted(made.rglob("*"), reverse=True):
                path.unlink() if path.is_file() else path.rmdir()
            made.rmdir()


def test_what_is_not_there_is_said(folder: Storage) -> None:
    with pytest.raises(MissingError, match="no such file"):
        folder.read("none")
    with pytest.raises(MissingError, match="no such file"), folder.local("none") as path:
        path.read_bytes() if path.exists() else folder.read("none")


def test_a_folder_that_may_not_be_read_is_not_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: object) -> list[str]:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    assert storage(tmp_path / "none").names("*") == []
    monkeypatch.setattr(os, "listdir", refused)
    with pytest.raises(MissingError, match=r"cannot read .*: Permission denied"):
        storage(tmp_path).names("*")


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        storage(tmp_path / "file").make()


def test_addresses_of_files_are_paths(tmp_path: Path) -> None:
    made = storage(tmp_path.as_uri() + "/x%20y")
    assert made.address == os.path.join(tmp_path, "x y")


def test_a_store_whose_package_is_missing_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    def missing(*_: object, **__: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(MissingError, match="Install s3fs") as caught:
        storage("s3://bucket/films")
    assert "pip install" in caught.value.remedy
