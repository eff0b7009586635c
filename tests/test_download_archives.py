"""Unpacking: whole, split, resumed; and archives that are damaged or made to do harm."""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import stat
import struct
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from fake_catalogue import catalogue, entry_of, file_of, leftovers, settings, some_bytes
from synctool.downloads import run as download
from synctool.downloads.archives import listed_members, unpack
from synctool.downloads.failures import DownloadError
from synctool.downloads.joined_files import JoinedFiles
from synctool.errors import OutputError, SyncToolError
from synctool.plugins.specs import CatalogueEntry

FILES = {
    "speakers/s1/a.txt": b"hello",
    "speakers/s1/empty": b"",
    "speakers/s2/b.bin": some_bytes(200_000),
    "readme": some_bytes(3000),
}


def zipped(files: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        archive.writestr("speakers/", b"")
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files: dict[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        folder = tarfile.TarInfo("./")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


MAKERS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "a.zip": zipped,
    "stored.ZIP": lambda files: zipped(files, zipfile.ZIP_STORED),
    "a.tar": tarred,
    "a.tar.gz": lambda files: tarred(files, "w:gz"),
    "a.tgz": lambda files: tarred(files, "w:gz"),
    "a.tar.xz": lambda files: tarred(files, "w:xz"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the entry; what lies beside it must stay as it is."""
    (tmp_path / "outside").write_text("as it was")
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder.parent / name
    path.write_bytes(content)
    return path


def out(folder: Path, name: str, content: bytes, **more: object) -> int:
    return unpack(name, [put(folder, name, content)], folder, **{"own": [name], **more})


def found(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".synctool" not in path.parts
    }


def harmless(folder: Path, name: str, content: bytes, **more: object) -> SyncToolError:
    """Unpack what must not be unpacked; nothing may be outside, or half inside."""
    beside = {path.name for path in folder.parent.iterdir()} | {name}
    with pytest.raises(SyncToolError) as caught:
        out(folder, name, content, **more)
    assert {path.name for path in folder.parent.iterdir()} == beside
    assert (folder.parent / "outside").read_text() == "as it was"
    assert not leftovers(folder)
    return caught.value


# ---------------------------------------------------------------------------------- what is meant


@pytest.mark.parametrize("name", MAKERS)
def test_archives_of_all_kinds(folder: Path, name: str) -> None:
    steps: list[tuple[int, int]] = []
    count = out(
        folder, name, MAKERS[name](FILES), on_bytes=lambda done, total: steps.append((done, total))
    )
    assert count == 4
    assert found(folder) == FILES
    assert all(0 <= done <= total for done, total in steps)
    listed = {path: size for path, size, _ in listed_members(folder, name)}
    assert listed == {path: len(content) for path, content in FILES.items()}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("size", [17, 7001, 50_000])
def test_split_archives_are_read_in_place(folder: Path, name: str, size: int) -> None:
    content = MAKERS[name]({"a": b"x" * 50, "b/c": b"y" * 70} if size == 17 else FILES)
    parts = [
        put(folder, f"{name}.{number:05}", content[start : start + size])
        for number, start in enumerate(range(0, len(content), size))
    ]
    before = set(folder.parent.iterdir())
    assert unpack(name, parts, folder, own=[]) in (2, 4)
    assert set(folder.parent.iterdir()) == before, "no joined copy"


def test_joined_files_are_one_stream(tmp_path: Path) -> None:
    content, parts = some_bytes(1000), []
    for number, (start, stop) in enumerate([(0, 300), (300, 300), (300, 999), (999, 1000)]):
        parts.append(tmp_path / f"{number}")
        parts[-1].write_bytes(content[start:stop])
    with JoinedFiles(parts) as raw, io.BufferedReader(raw, 64) as stream:
        assert raw.size == 1000
        assert stream.read() == content
        for position, count in [(0, 10), (290, 50), (998, 5), (1000, 5), (2000, 1), (299, 701)]:
            stream.seek(position)
            assert stream.read(count) == content[position : position + count]
        assert stream.seek(-10, io.SEEK_END) == 990
        with pytest.raises(ValueError):
            raw.seek(-1)
    with pytest.raises(FileNotFoundError):
        JoinedFiles([tmp_path / "none"])


def test_backslashes_are_folders(folder: Path) -> None:
    out(folder, "a.zip", zipped({"x\\y.txt": b"1"}))
    assert found(folder) == {"x/y.txt": b"1"}


# ------------------------------------------------------------------------------------- resuming


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_what_is_there_is_not_unpacked_again(folder: Path, name: str) -> None:
    content = MAKERS[name](FILES)
    out(folder, name, content)
    listed = list(listed_members(folder, name))
    stamps = {path: (folder / path).stat().st_ino for path in FILES}
    (folder / "readme").unlink()
    (folder / "speakers/s1/a.txt").write_bytes(b"hell")
    out(folder, name, content)
    assert found(folder) == FILES
    assert (folder / "speakers/s2/b.bin").stat().st_ino == stamps["speakers/s2/b.bin"]
    assert list(listed_members(folder, name)) == listed
    out(folder, name, content, anew=True)
    assert (folder / "speakers/s2/b.bin").stat().st_ino != stamps["speakers/s2/b.bin"]


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_stopped_in_the_middle(folder: Path, name: str) -> None:
    content = MAKERS[name](FILES)

    def stop(done: int, total: int) -> None:
        if done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        out(folder, name, content, on_bytes=stop)
    assert set(found(folder).items()) < set(FILES.items()), "whole files only"
    assert not leftovers(folder)
    out(folder, name, content)
    assert found(folder) == FILES


# --------------------------------------------------------------------------------------- harm


OUTSIDE = [
    "../outside",
    "x/../../outside",
    "/tmp/outside",
    "\\outside",
    "..\\outside",
    "x\\..\\..\\outside",
    "C:\\outside",
    "c:outside",
    "//server/share/outside",
]


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", OUTSIDE)
def test_names_that_lead_outside(folder: Path, kind: str, name: str) -> None:
    if kind == "zip":
        content = zipped({"good": b"1", name: b"evil"})
    else:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            info = tarfile.TarInfo(name)
            info.size = 4
            archive.addfile(info, io.BytesIO(b"evil"))
        content = buffer.getvalue()
    error = harmless(folder, f"a.{kind}", content)
    assert isinstance(error, DownloadError)
    assert repr(name) in error.cause
    assert "outside" in error.cause
    assert found(folder) == {}, "a zip archive is looked at in full before anything is written"


@pytest.mark.parametrize(
    "type_",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE],
)
def test_links_and_devices_in_tar(folder: Path, type_: bytes) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("way")
        info.type, info.linkname = type_, "../outside"
        archive.addfile(info)
        through = tarfile.TarInfo("way/file")
        archive.addfile(through, io.BytesIO())
    error = harmless(folder, "a.tar", buffer.getvalue())
    assert "'way' is a link or a device" in error.cause
    assert not (folder / "way").is_symlink()


@pytest.mark.parametrize("type_", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_in_zip(folder: Path, type_: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("way")
        info.create_system, info.external_attr = 3, (type_ | 0o777) << 16
        archive.writestr(info, "../outside")
    assert "'way' is a link or a device" in harmless(folder, "a.zip", buffer.getvalue()).cause


def test_a_link_that_is_in_the_folder_is_not_followed_out(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (folder / "x").symlink_to(tmp_path / "elsewhere")
    error = harmless(folder, "a.zip", zipped({"x/sub/evil": b"evil"}))
    assert "outside" in error.cause
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_link_in_the_place_of_a_file_is_replaced(folder: Path, tmp_path: Path) -> None:
    (folder / "readme").symlink_to(tmp_path / "outside")
    out(folder, "a.zip", zipped(FILES))
    assert found(folder) == FILES
    assert (tmp_path / "outside").read_text() == "as it was"


@pytest.mark.parametrize(
    "names",
    [
        ["a/File", "a/file"],
        ["ä", unicodedata.normalize("NFD", "ä")],
        ["x", "x"],
        ["x", "./x"],
        ["x", "X/y"],
        ["x/y", "X"],
        [".synctool/receipt.json"],
        [".SyncTool/receipt.json"],
        ["A.zip"],
        [".a.zip.part"],
        [".A.ZIP.part.json"],
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_take_the_place_of_others(folder: Path, names: list[str]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"1")
    error = harmless(folder, "a.zip", buffer.getvalue())
    assert repr(names[-1]) in error.cause
    assert found(folder) == {}


def test_a_name_that_no_file_can_have(folder: Path) -> None:
    content = zipped({"ab0cd": b"1"}, zipfile.ZIP_STORED).replace(b"ab0cd", b"ab\0cd")
    assert "no file can have" in harmless(folder, "a.zip", content).cause


def test_a_bomb_by_what_the_disk_holds(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=150_000))
    error = harmless(folder, "a.zip", zipped(FILES))
    assert isinstance(error, OutputError)
    assert found(folder) == {}
    monkeypatch.setattr("synctool.downloads.archives._LOOK_AT_SPACE", 1000)
    error = harmless(folder, "a.tar.gz", MAKERS["a.tar.gz"](FILES))
    assert isinstance(error, OutputError)
    assert "speakers/s2/b.bin" not in found(folder)


@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_a_bomb_by_what_the_catalogue_says(folder: Path, name: str) -> None:
    error = harmless(folder, name, MAKERS[name](FILES), estimate=50_000)
    assert re.search(r"would unpack to 20\d kB or more in place of 50 kB", error.cause)
    assert out(folder, name, MAKERS[name](FILES), estimate=100_000) == 4


def test_a_bomb_of_members_that_share_their_bytes(folder: Path) -> None:
    """More than deflate can do: the directory names one member many times."""
    content = zipped({"a": bytes(10**6)})
    head = content.index(b"PK\x01\x02")
    directory, end = content[head : content.index(b"PK\x05\x06")], content[-22:]
    count = directory.count(b"PK\x01\x02")
    records = b"".join(directory[:-1] + bytes([98 + n]) for n in range(20))
    total = count * 20
    tail = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, total, total, len(records), head, 0)
    assert len(end) == len(tail)
    with pytest.raises(SyncToolError) as caught:
        out(folder, "a.zip", content[:head] + records + tail)
    assert "would unpack to" in caught.value.cause or "takes the place" in caught.value.cause


def test_a_member_that_is_larger_than_it_says(folder: Path) -> None:
    content = bytearray(zipped({"a": b"x" * 1000}))
    size = struct.pack("<I", 1000)
    content = bytes(content).replace(size, struct.pack("<I", 10))
    harmless(folder, "a.zip", content)
    assert found(folder) == {}


# ------------------------------------------------------------------------------------- damage


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("cut", [0, 10, 0.5])
def test_cut_archives(folder: Path, name: str, cut: float) -> None:
    content = MAKERS[name](FILES)
    cut = int(len(content) * cut) if isinstance(cut, float) else cut
    error = harmless(folder, name, content[:cut])
    assert isinstance(error, DownloadError)
    assert f"{name} cannot be unpacked" in error.cause
    assert "--force" in error.remedy
    assert set(found(folder).items()) <= set(FILES.items()), "no half files"


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar.xz"])
def test_damaged_content(folder: Path, name: str) -> None:
    content = bytearray(MAKERS[name]({"a": some_bytes(50_000)}))
    content[len(content) // 2] ^= 255
    error = harmless(folder, name, bytes(content))
    assert isinstance(error, DownloadError)
    assert "--force" in error.remedy, "which does not trust what came out of it"
    assert found(folder) == {} or name == "a.tar.gz", "gzip has its checksum at the very end"


def test_encrypted(folder: Path) -> None:
    content = bytearray(zipped({"secret": b"1"}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        position = content.rindex(mark)
        content[position + offset] |= 1
    error = harmless(folder, "a.zip", bytes(content))
    assert "a.zip is encrypted (secret)" in error.cause
    assert "password" in error.remedy


def test_a_disk_that_fills_up(folder: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    error = harmless(folder, "a.zip", zipped(FILES))
    assert isinstance(error, OutputError)
    assert "goes on from there" in error.remedy


# ------------------------------------------------------------------------------- whole entries


NO_NET = "https://example.invalid/"


def split_entry(content: bytes, *more: object, size: int = 60_000) -> tuple[CatalogueEntry, dict]:
    parts = {
        f"part{number}": content[start : start + size]
        for number, start in enumerate(range(0, len(content), size))
    }
    files = [file_of(n, part, f"{NO_NET}{n}", parts_of="all.zip") for n, part in parts.items()]
    parts["list.txt"] = b"a list"
    files.append(file_of("list.txt", b"a list", f"{NO_NET}list.txt"))
    entry = entry_of(*files, name="corpus", kind="dataset", unpack=True, unpacked_bytes=203_005)
    return entry, parts


@pytest.fixture
def usb(tmp_path: Path, monkeypatch) -> Path:
    """A folder with the parts of an entry."""
    monkeypatch.setenv("SYNCTOOL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "usb").mkdir()
    return tmp_path / "usb"


def test_an_entry_is_unpacked_checked_and_mended(usb: Path, tmp_path: Path) -> None:
    entry, parts = split_entry(zipped(FILES))
    for name, content in parts.items():
        (usb / name).write_bytes(content)
    folder = tmp_path / "corpus"
    with catalogue(entry):
        assert download.plan("corpus").bytes_to_unpack == 203_005
        result = download.download("corpus", source=usb, settings=settings())
        assert (len(result.files), result.unpacked) == (len(parts), 4)
        assert found(folder) == {**FILES, "list.txt": b"a list"}, "the parts are gone"
        assert download.show("corpus").status == "here"
        again = download.download("corpus", offline=True, settings=settings())
        assert (again.files, again.unpacked) == ((), 0)
        (verified,) = download.verify(["corpus"])
        assert verified.status == "ok"
        assert "4 of 4 unpacked files right" in {check.detail for check in verified.files}

        (folder / "readme").write_bytes(some_bytes(3000, seed=2))
        (folder / "speakers/s1/a.txt").unlink()
        (verified,) = download.verify([])
        assert verified.status == "damaged"
        assert {c.path: c.status for c in verified.files if c.path in FILES} == {
            "readme": "damaged",
            "speakers/s1/a.txt": "incomplete",
        }
        (folder / "readme").unlink()
        with pytest.raises(SyncToolError) as caught:
            download.download("corpus", offline=True, settings=settings())
        assert caught.value.exit_code == 5
        assert "here only in part" in caught.value.cause
        download.download("corpus", source=usb, settings=settings())
        assert found(folder) == {**FILES, "list.txt": b"a list"}
        assert download.verify(["corpus"])[0].status == "ok"


def test_archives_are_kept_on_demand(usb: Path, tmp_path: Path) -> None:
    entry, parts = split_entry(zipped(FILES))
    for name, content in parts.items():
        (usb / name).write_bytes(content)
    with catalogue(entry):
        options = {"source": usb, "settings": settings()}
        download.download("corpus", keep_archives=True, **options)
        assert found(tmp_path / "corpus") == {**FILES, **parts}
        assert download.verify(["corpus"])[0].status == "ok"
        download.download("corpus", keep_archives=True, **options)
        assert found(tmp_path / "corpus") == {**FILES, **parts}
        download.download("corpus", **options)
    assert found(tmp_path / "corpus") == {**FILES, "list.txt": b"a list"}


def test_a_harmful_archive_is_kept_for_a_look(usb: Path, tmp_path: Path) -> None:
    content = zipped({"../outside": b"evil"})
    entry = entry_of(file_of("a.zip", content, NO_NET), name="corpus", kind="dataset", unpack=True)
    (usb / "a.zip").write_bytes(content)
    with catalogue(entry):
        with pytest.raises(DownloadError, match="outside"):
            download.download("corpus", source=usb, settings=settings())
        assert download.show("corpus").status == "incomplete"
    assert not (tmp_path / "outside").exists()
    assert (tmp_path / "corpus" / "a.zip").exists()
