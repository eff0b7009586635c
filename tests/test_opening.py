"""What is given for a video: names, addresses, pipes, encrypted files, and files that are no videos."""

from __future__ import annotations

import gzip
import io
import os
import re
import socket
import struct
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from synctool.errors import (
    EXIT_MISSING,
    EXIT_UNEXPECTED,
    EXIT_USAGE,
    MediaError,
    MissingError,
    SyncToolError,
    UsageError,
)
from synctool.media import pipes
from synctool.media.boxes import boxes, elements
from synctool.media.locating import locate
from synctool.media.video_file import VideoFile
from videos import Audio, Video, find_clicks, make_video

pytestmark = pytest.mark.integration

FAST = {"preset": "ultrafast"}
needs_fifo = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """Bytes of a second of video by ending, and of MP4 with the index first as ``fast.mp4``."""
    folder = tmp_path_factory.mktemp("videos")
    kept: dict[str, bytes] = {}

    def bytes_of(name: str) -> bytes:
        if name not in kept:
            old = name.endswith(".mpg")
            video = Video("mpeg2video") if old else Video(options=FAST)
            audio = Audio("mp2" if old else "aac")
            path = make_video(folder / name, seconds=1, video=video, audio=[audio])
            if name.startswith("fast"):
                path = remuxed(path, folder / f"moved-{name}", movflags="+faststart")
            kept[name] = path.read_bytes()
        return kept[name]

    return bytes_of


def remuxed(source: Path, target: Path, **options: str) -> Path:
    with av.open(str(source)) as old, av.open(str(target), "w", options=options) as new:
        copies = {s.index: new.add_stream_from_template(s) for s in old.streams}
        for packet in old.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                new.mux(packet)
    return target


def indices(name: str | Path) -> tuple[int, int, list[str]]:
    """Ticks with an image, tone bursts heard, and warnings."""
    with VideoFile(name) as video_file:
        count = sum(image.luma is not None for image in video_file)
        return (
            count,
            len(find_clicks(video_file.audio.pop(video_file.audio.end))),
            video_file.warnings,
        )


# --------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    "name",
    [
        "https://example.com/watch?v=a%20b&t=[1]",
        "HTTP://example.com/a.mp4",
        "rtsp://camera/1",
        "udp://@239.0.0.1:1234",
        "rtmp://host/live",
        "s3://bucket/a.mp4",
        "smb://server/share/a.mp4",
        "srt://host:1",
        "concat:a.mp4|b.mp4",
        "data:video/mp4;base64,AAAA",
        "subfile,,start,0,end,0,,:a.mp4",
        "pipe:0",
        "crypto:a.mp4",
        "magnet:?xt=urn:btih:0",
        "https:/example.com/a.mp4",
    ],
)
def test_a_url_is_not_opened_and_is_shown_as_it_is(name: str) -> None:
    with pytest.raises(UsageError, match="URLs are not opened") as caught:
        VideoFile(name)
    assert name in caught.value.cause
    assert caught.value.exit_code == EXIT_USAGE
    assert "ownload" in caught.value.remedy


def test_a_file_url_is_a_local_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, videos: Callable[[str], bytes]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a b#100%é.mkv"
    path.write_bytes(videos("a.mkv"))
    url = path.as_uri()
    assert "%20" in url
    for name in (url, url.replace("file://", "file://localhost"), url.replace("file://", "file:")):
        assert indices(name)[0] == pytest.approx(25, abs=1)
    assert locate("file:a b#100%é.mkv").size_bytes == path.stat().st_size
    with pytest.raises(UsageError, match="another machine"):
        VideoFile(url.replace("file://", "file://server"))
    with pytest.raises(MissingError, match=r"no such file: file:///gone\.mp4"):
        VideoFile("file:///gone.mp4")


@pytest.mark.parametrize(
    "name",
    [
        "//tmp//x//gone.mp4",
        "a//b.mp4",
        r"C:\videos\a.mp4",
        r"\\server\a.mp4",
        "12:30 talk.mp4",
        "-gone.mp4",
    ],
)
def test_a_missing_file_is_named_as_it_was_given(name: str) -> None:
    with pytest.raises(MissingError) as caught:
        VideoFile(name)
    assert caught.value.cause == f"no such file: {name}"
    assert caught.value.exit_code == EXIT_MISSING
    if "\\" in name and os.name != "nt":
        assert "Windows" in caught.value.remedy


def test_a_name_with_a_line_break_or_an_escape_is_one_line() -> None:
    with pytest.raises(MissingError) as caught:
        VideoFile("gone\n\x1b[31mred.mp4")
    assert caught.value.cause == r"no such file: gone\n\x1b[31mred.mp4"


@pytest.mark.parametrize(
    "name",
    [
        "https:",
        "a:b.mkv",
        "concat:a.mkv",
        "./-",
        "--flag.mkv",
        "new\nline.mkv",
        "'q\".mkv",
        " .mkv",
        "%d.mkv",
        "[x].mkv",
    ],
)
def test_a_file_of_any_name_is_opened(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    videos: Callable[[str], bytes],
    name: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        Path(name).write_bytes(videos("a.mkv"))
    except OSError:
        pytest.skip("this file system does not take the name")
    assert indices(name)[0] == pytest.approx(25, abs=1)
    doubled = f"{tmp_path}//{name}"
    assert indices(doubled)[0] == pytest.approx(25, abs=1)


# --------------------------------------------------------------------------- not files


def test_folders_devices_and_sockets_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        VideoFile(tmp_path)
    if os.path.exists("/dev/zero"):
        with pytest.raises(UsageError, match="is a device"):
            VideoFile("/dev/zero")
    if hasattr(socket, "AF_UNIX"):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / "s"))
            with pytest.raises((UsageError, MissingError), match="is a socket"):
                VideoFile(tmp_path / "s")


# --------------------------------------------------------------------------- pipes


@contextmanager
def piped(tmp_path: Path, data: bytes, *, stay: bool = False, pause_s: float = 0) -> Iterator[Path]:
    """A named pipe through which bytes come; with ``stay`` its writer does not go away."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    may_end = threading.Event()

    def write() -> None:
        try:
            with pipe.open("wb", buffering=0) as file:
                half = len(data) // 2
                file.write(data[:half])
                time.sleep(pause_s)
                file.write(data[half:])
                if stay:
                    may_end.wait(20)
        except BrokenPipeError:
            pass

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield pipe
    finally:
        may_end.set()
        with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb"):
            writer.join(5)


@needs_fifo
@pytest.mark.parametrize(
    "name", ["a.mp4", "fast.mp4", "a.mov", "a.mkv", "a.ts", "a.avi", "a.flv", "a.mpg"]
)
def test_every_format_comes_through_a_pipe(
    tmp_path: Path, videos: Callable[[str], bytes], name: str
) -> None:
    with piped(tmp_path, videos(name), pause_s=0.3) as pipe:
        count, bursts, warnings = indices(pipe)
    assert count == pytest.approx(25, abs=2)
    assert bursts == 3
    spooled = any("temporary file" in text for text in warnings)
    assert spooled == (name in ("a.mp4", "a.mov", "a.avi"))


@needs_fifo
def test_no_temporary_file_is_left(
    tmp_path: Path, videos: Callable[[str], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(pipes.tempfile, "tempdir", str(room))
    with piped(tmp_path, videos("a.mp4")) as pipe:
        indices(pipe)
    assert list(room.iterdir()) == []


@needs_fifo
def test_what_must_be_kept_whole_has_a_limit(
    tmp_path: Path, videos: Callable[[str], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipes, "SPOOL_BYTES", 1000)
    with piped(tmp_path, videos("a.mp4")) as pipe, pytest.raises(MediaError, match="kept whole"):
        VideoFile(pipe)


@needs_fifo
@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "nothing"])
def test_a_pipe_that_stalls_is_given_up(
    tmp_path: Path, videos: Callable[[str], bytes], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(pipes.PipeReader.__init__, "__kwdefaults__", {"stall_s": 0.5})
    data = b"" if name == "nothing" else videos(name)
    with piped(tmp_path, data, stay=True) as pipe:
        started = time.monotonic()
        with pytest.raises(MediaError, match="nothing came through the pipe"):
            indices(pipe)
        assert time.monotonic() - started < 5


@needs_fifo
def test_a_pipe_without_a_writer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipes.PipeReader.__init__, "__kwdefaults__", {"stall_s": 0.5})
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MediaError, match="nothing came through the pipe"):
        VideoFile(tmp_path / "pipe")


@needs_fifo
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "nothing came through"),
        (b"<html>no such page</html>", "a web page"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n", "a playlist cannot come"),
        (b"just words\n" * 20, "a text file"),
    ],
)
def test_what_is_no_video_is_named_through_a_pipe_too(
    tmp_path: Path, data: bytes, words: str
) -> None:
    with piped(tmp_path, data) as pipe, pytest.raises(MediaError, match=words):
        VideoFile(pipe)


READ_STDIN = """
from synctool.media.video_file import VideoFile
with VideoFile("-") as video:
    print(sum(frame.luma is not None for frame in video))
"""


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("as_file", [True, False])
def test_a_dash_is_the_standard_input(
    tmp_path: Path, videos: Callable[[str], bytes], name: str, as_file: bool
) -> None:
    path = tmp_path / name
    path.write_bytes(videos(name))
    how = {"stdin": path.open("rb")} if as_file else {"input": path.read_bytes()}
    done = subprocess.run(
        [sys.executable, "-c", READ_STDIN], capture_output=True, check=True, **how
    )
    assert int(done.stdout) == pytest.approx(25, abs=1)


# --------------------------------------------------------------------------- encrypted


def common_encryption(folder: Path, source: Path) -> Path:
    return remuxed(
        source,
        folder / "encrypted.mp4",
        encryption_scheme="cenc-aes-ctr",
        encryption_key="76a6c65c5ea762046bd749a2e632ccbb",
        encryption_kid="a7e61c373e219033c21091fa607bf3b8",
    )


def changed(path: Path, old: bytes, new: bytes) -> Path:
    data = path.read_bytes()
    assert old in data
    assert len(old) == len(new)
    path.write_bytes(data.replace(old, new))
    return path


def scrambled(path: Path, pid: int) -> Path:
    data = bytearray(path.read_bytes())
    for at in range(0, len(data), 188):
        if (data[at + 1] & 0x1F) << 8 | data[at + 2] == pid and data[at + 3] & 0x10:
            data[at + 3] |= 0x80
    path.write_bytes(data)
    return path


def encrypted_matroska(folder: Path) -> Path:
    """A Matroska file in which the name of each track gives way to a note of encryption."""
    plain = make_video(folder / "plain.mkv", seconds=1, video=Video(options=FAST))
    path = folder / "a.mkv"
    name = "n" * 14
    with av.open(str(plain)) as old, av.open(str(path), "w") as new:
        copies = {s.index: new.add_stream_from_template(s) for s in old.streams}
        for copy in copies.values():
            copy.metadata["title"] = name
        for packet in old.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                new.mux(packet)
    note = bytes.fromhex("6d808e 62408b 50338101 50358447e18105")
    return changed(path, b"\x53\x6e\x8e" + name.encode(), note)


ENCRYPTED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "common encryption": (
        lambda d: common_encryption(d, make_video(d / "a.mp4", seconds=1, video=Video(options=FAST))),
        "video.*Common Encryption",
    ),
    "audio alone": (
        lambda d: changed(make_video(d / "a.mp4", seconds=1, video=Video(options=FAST)), b"mp4a", b"enca"),
        "audio.*encrypted",
    ),
    "FairPlay": (
        lambda d: changed(
            make_video(d / "a.m4v", seconds=1, video=Video(options=FAST)), b"avc1\0", b"drmi\0"
        ),
        "FairPlay",
    ),
    "Matroska": (encrypted_matroska, "video.*Matroska"),
    "WebM under MP4's name": (
        lambda d: encrypted_matroska(d).rename(d / "b.mp4"),
        "video.*Matroska",
    ),
    "scrambled video": (
        lambda d: scrambled(make_video(d / "a.ts", seconds=2, video=Video(options=FAST)), 0x100),
        "video.*scrambled",
    ),
    "scrambled audio": (
        lambda d: scrambled(make_video(d / "a.ts", seconds=2, video=Video(options=FAST)), 0x101),
        "audio.*scrambled",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ENCRYPTED)
def test_encrypted_video_is_called_so(tmp_path: Path, kind: str) -> None:
    make, words = ENCRYPTED[kind]
    with pytest.raises(MediaError) as caught:
        indices(make(tmp_path))
    assert re.search(words, caught.value.cause)
    assert "encrypted" in caught.value.cause
    assert caught.value.exit_code == EXIT_UNEXPECTED
    assert "decrypt" in caught.value.remedy


def test_an_encrypted_track_that_is_not_needed_is_no_error(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "a.ts", seconds=2, video=Video(options=FAST), audio=[Audio(), Audio()]
    )
    scrambled(path, 0x102)
    assert indices(path)[0] == pytest.approx(50, abs=2)


def test_media_in_another_file_are_not_fetched(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mov", seconds=1, video=Video(options=FAST))
    data = path.read_bytes()
    at = data.index(b"dref") + 12
    assert data[at + 4 : at + 8] in (b"url ", b"alis")
    first = data[:at] + data[at : at + 8] + bytes(4) + data[at + 12 :]
    path.write_bytes(first)
    with pytest.raises(MediaError, match="lies in another file"):
        indices(path)


# --------------------------------------------------------------------------- no videos


def packed(write: Callable[[io.BytesIO], object]) -> bytes:
    kept = io.BytesIO()
    write(kept)
    return kept.getvalue()


def zipped(file: io.BytesIO) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.mp4", b"x" * 100)


def locked_zip(file: io.BytesIO) -> None:
    zipped(file)
    file.getbuffer()[6] |= 1


def tarred(file: io.BytesIO) -> None:
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.mp4"))


def image(ending: str) -> bytes:
    return cv2.imencode(ending, np.zeros((64, 64, 3), np.uint8))[1].tobytes()


FRIENDS = {
    "page": (b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>", "a web page"),
    "page after a comment": (b"<!-- saved -->\n<HTML></HTML>", "a web page"),
    "git-lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git-lfs"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\n1 0 obj\n", "a PDF"),
    "zip": (packed(zipped), "a ZIP archive$"),
    "locked zip": (packed(locked_zip), "a ZIP archive with a password"),
    "tar": (packed(tarred), "a tar archive"),
    "gzip": (gzip.compress(b"x" * 1000), "gzip"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(100), "7-Zip"),
    "rar": (b"Rar!\x1a\x07\x01\0" + bytes(100), "a RAR"),
    "torrent": (
        b"d8:announce35:udp://tracker.example.org:80/announce4:infod6:lengthi1eee",
        "a torrent",
    ),
    "png": (image(".png"), "a still image .PNG"),
    "jpeg": (image(".jpg"), "a still image .JPEG"),
    "webp": (image(".webp"), "a still image .WebP"),
    "text": (b"Dear all,\n" * 100, "a text file"),
    "utf-16": ("words".encode("utf-16") * 10, "a text file"),
    "json": (b'{"a": [1, 2]}', "a JSON document"),
    "srt": (b"1\r\n00:00:01,000 --> 00:00:02,000\r\nHello\r\n", "a subtitle file"),
    "vtt": (b"WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n", "a subtitle file"),
    "ass": (b"[Script Info]\nTitle: x\n", "a subtitle file"),
    "zeros": (bytes(100_000), "zeros"),
    "gpg": (b"-----BEGIN PGP MESSAGE-----\n\nxx\n", "an encrypted file"),
    "openssl": (b"Salted__" + os.urandom(500), "an encrypted file"),
    "project": (
        b'<?xml version="1.0"?>\n<!DOCTYPE xmeml>\n<xmeml version="5"></xmeml>',
        "a project",
    ),
    "icloud": (b"bplist00\xd3\x01\x02", "in the cloud"),
    "no index": (
        b"\0\0\0\x18ftypisom\0\0\0\0isommp42\0\0\x10\0mdat" + bytes(4088),
        "index .moov. is missing",
    ),
}


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".txt"])
@pytest.mark.parametrize("kind", FRIENDS)
def test_what_is_no_video_is_named(tmp_path: Path, kind: str, ending: str) -> None:
    data, words = FRIENDS[kind]
    path = tmp_path / f"a{ending}"
    path.write_bytes(data)
    with pytest.raises(SyncToolError) as caught:
        indices(path)
    assert type(caught.value) is MediaError
    assert re.search(words, caught.value.cause)
    assert caught.value.remedy


@pytest.mark.parametrize("ending", [".part", ".crdownload", ".partial"])
def test_an_unfinished_download_is_called_so(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.mp4{ending}"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(MediaError, match="unfinished download"):
        indices(path)


def test_an_empty_file_may_be_in_the_cloud(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(MediaError, match="0 bytes") as caught:
        indices(tmp_path / "a.mp4")
    assert "offline" in caught.value.remedy


@pytest.mark.parametrize("size", [16, 1 << 40, (1 << 63) - 1, (1 << 64) - 1])
def test_a_box_that_reaches_beyond_all_files_ends_the_search(size: int) -> None:
    box = struct.pack(">I4sQ", 1, b"free", size)
    file = io.BytesIO(box * 2)
    assert [b.kind for b in boxes(file, 0, 32)] == [b"free"] * (2 if size == 16 else 1)
    element = b"\x1a\x45\xdf\xa3\x01" + (1 << 55).to_bytes(7, "big")
    assert len(list(elements(io.BytesIO(element * 2), 0, 24))) == 1
