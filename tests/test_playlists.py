"""Playlists read only what lies beside or below them, and never wait."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from synctool.errors import MediaError, MissingError, SyncToolError
from synctool.media.video_file import VideoFile
from videos import Audio, Video, make_video

FAST = {"preset": "ultrafast"}
SECONDS = 1.0


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Five seconds of one video, cut into seconds."""
    folder = tmp_path_factory.mktemp("segments")
    made = []
    for start in range(5):
        video = Video(options=FAST, start_s=start * SECONDS)
        audio = Audio(start_s=start * SECONDS)
        path = make_video(folder / f"{start}.ts", seconds=SECONDS, video=video, audio=[audio])
        made.append(path.read_bytes())
    return made


@pytest.fixture
def place(tmp_path: Path, segments: list[bytes]) -> Path:
    """A folder ``show`` with segments ``a.ts`` and others, some below it, and one outside."""
    show = tmp_path / "show"
    (show / "below").mkdir(parents=True)
    (show / "a.ts").write_bytes(segments[0])
    for path in (show / "below" / "b.ts", tmp_path / "secret.ts"):
        path.write_bytes(segments[1])
    for number in (2, 3, 4):
        (show / f"{number}.ts").write_bytes(segments[number])
    return show


def hls(place: Path, *names: str, end: bool = True, extra: str = "") -> Path:
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", *filter(None, [extra])]
    for name in names:
        lines += [f"#EXTINF:{SECONDS},", name]
    path = place / "list.m3u8"
    path.write_text("\n".join([*lines, "#EXT-X-ENDLIST" if end else ""]) + "\n")
    return path


def ffconcat(place: Path, *names: str) -> Path:
    path = place / "list.ffconcat"
    path.write_text("\n".join(["ffconcat version 1.0", *(f"file '{n}'" for n in names)]) + "\n")
    return path


KINDS = [hls, ffconcat]


def indices(path: Path, **more: bool) -> tuple[int, list[str]]:
    with VideoFile(path, **more) as video_file:
        count = sum(image.luma is not None for image in video_file)
        return count, video_file.warnings


@pytest.mark.parametrize("make", KINDS)
def test_files_beside_and_below_are_read(place: Path, make: Callable[..., Path]) -> None:
    path = make(place, "a.ts", "below/b.ts", "./2.ts", "below/../3.ts", str(place / "4.ts"))
    assert indices(path)[0] == pytest.approx(5 * 25, abs=6)


def outside_names(place: Path) -> dict[str, str]:
    secret = place.parent / "secret.ts"
    (place / "link.ts").symlink_to(secret)
    (place / "out").symlink_to(place.parent)
    return {
        "absolute": str(secret),
        "file URL": secret.as_uri(),
        "file URL, percent-encoded": secret.as_uri().replace("secret", "s%65cret"),
        "file with a colon": f"file:{secret}",
        "two slashes": f"/{secret}",
        "above": "../secret.ts",
        "above, from below": "below/../../secret.ts",
        "link": "link.ts",
        "through a linked folder": "out/secret.ts",
    }


OUTSIDE = [
    "absolute",
    "file URL",
    "file URL, percent-encoded",
    "file with a colon",
    "two slashes",
    "above",
    "above, from below",
    "link",
    "through a linked folder",
]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("make", KINDS)
def test_files_elsewhere_are_refused(
    place: Path, make: Callable[..., Path], name: str, first: bool
) -> None:
    outside = outside_names(place)[name]
    path = make(place, *([outside] if first else ["a.ts", outside]))
    with pytest.raises(MediaError, match="outside its folder") as caught:
        indices(path)
    assert "--allow-external" in caught.value.remedy


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("make", KINDS)
def test_files_elsewhere_are_read_when_asked(
    place: Path, make: Callable[..., Path], name: str
) -> None:
    path = make(place, "a.ts", outside_names(place)[name])
    assert indices(path, allow_external=True)[0] == pytest.approx(50, abs=4)


def special_files(place: Path) -> dict[str, str]:
    os.mkfifo(place / "fifo.ts")
    (place / "tolink.ts").symlink_to(place / "fifo.ts")
    (place / "folder.ts").mkdir()
    return {
        "fifo": "fifo.ts",
        "link to a fifo": "tolink.ts",
        "folder": "folder.ts",
        "device": "/dev/zero",
    }


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("allow", [True, False])
@pytest.mark.parametrize("name", ["fifo", "link to a fifo", "folder", "device"])
@pytest.mark.parametrize("make", KINDS)
def test_what_is_no_regular_file_is_refused_at_once(
    place: Path, make: Callable[..., Path], name: str, allow: bool
) -> None:
    started = time.monotonic()
    with pytest.raises(MediaError, match=r"no regular file|outside its folder"):
        indices(make(place, "a.ts", special_files(place)[name]), allow_external=allow)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("allow", [True, False])
@pytest.mark.parametrize("scheme", ["http", "https", "tcp", "ftp", "rtmp", "udp"])
@pytest.mark.parametrize("make", KINDS)
def test_the_network_is_never_used(
    place: Path, make: Callable[..., Path], scheme: str, allow: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"{scheme}://127.0.0.1:{server.getsockname()[1]}/a.ts"
        with pytest.raises(MediaError, match="addresses are not opened"):
            indices(make(place, "a.ts", address), allow_external=allow)
        server.settimeout(0.05)
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("name", ["concat:a.ts|a.ts", "data:,abc", "pipe:0"])
def test_protocols_of_ffmpeg_are_not_opened(place: Path, name: str) -> None:
    with pytest.raises(MediaError, match="addresses are not opened"):
        indices(hls(place, "a.ts", name))


@pytest.mark.parametrize("make", KINDS)
def test_a_missing_file_is_named(place: Path, make: Callable[..., Path]) -> None:
    path = make(place, "a.ts", "gone.ts")
    if make is ffconcat:
        with pytest.raises(MissingError, match=r"gone\.ts"):
            indices(path)
    else:
        count, warnings = indices(path)
        assert count == pytest.approx(25, abs=3)
        assert any("gone.ts" in text for text in warnings)
    with pytest.raises(MissingError, match=r"gone\.ts"):
        indices(make(place, "gone.ts"))


@pytest.mark.parametrize("gone", [(0,), (2,), (4,), (1, 2), (1, 4), ()])
def test_missing_files_count_as_not_covered(place: Path, gone: tuple[int, ...]) -> None:
    names = ["a.ts", "below/b.ts", "2.ts", "3.ts", "4.ts"]
    path = hls(place, *(f"gone{i}.ts" if i in gone else name for i, name in enumerate(names)))
    with VideoFile(path) as video_file:
        for _ in video_file:
            pass
    assert video_file.source.unread_share == pytest.approx(len(gone) / 5, abs=0.06)
    assert video_file.source.unread_s == pytest.approx(SECONDS * len(gone), abs=0.3)


def test_a_playlist_without_an_end_is_read_to_what_it_has(place: Path) -> None:
    started = time.monotonic()
    count, warnings = indices(hls(place, "a.ts", "below/b.ts", "2.ts", "3.ts", "4.ts", end=False))
    assert count == pytest.approx(125, abs=6)
    assert time.monotonic() - started < 10
    assert any("no end" in text for text in warnings)


def test_a_master_playlist_reaches_its_own_playlists_only(place: Path) -> None:
    hls(place / "below", "b.ts")
    master = place / "master.m3u8"
    head = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\n"
    master.write_text(f"{head}below/list.m3u8\n")
    assert indices(master)[0] == pytest.approx(25, abs=3)
    hls(place / "below", "../../secret.ts")
    with pytest.raises(MediaError, match="outside its folder"):
        indices(master)
    hls(place.parent, "secret.ts")
    master.write_text(f"{head}../list.m3u8\n")
    with pytest.raises(MediaError, match="outside its folder"):
        indices(master)


@pytest.mark.parametrize(
    "tag",
    [
        '#EXT-X-MAP:URI="{}"',
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",URI="{}"',
        '#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="{}"',
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{}"',
    ],
)
@pytest.mark.parametrize("name", ["../secret.ts", "/etc/passwd", "http://127.0.0.1:9/a"])
def test_no_tag_reaches_further(place: Path, tag: str, name: str) -> None:
    with pytest.raises(MediaError, match=r"outside its folder|addresses"):
        indices(hls(place, "a.ts", extra=tag.format(name)))


def test_a_segment_that_is_a_script_opens_nothing(place: Path) -> None:
    os.mkfifo(place / "fifo.ts")
    for text in (
        "ffconcat version 1.0\nfile fifo.ts\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfifo.ts\n#EXT-X-ENDLIST\n",
    ):
        (place / "segment.ts").write_text(text)
        started = time.monotonic()
        with pytest.raises(MediaError):
            indices(hls(place, "segment.ts"))
        assert time.monotonic() - started < 10


@pytest.mark.parametrize("name", ["list.m3u8", "other.m3u8"])
@pytest.mark.parametrize("extra", ["", "#EXTINF:1,\na.ts\n"])
def test_playlists_that_name_one_another_are_refused(place: Path, name: str, extra: str) -> None:
    first, other = place / "list.m3u8", place / "other.m3u8"
    head = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\n"
    first.write_text(f"{head}{name}\n{extra}")
    other.write_text(f"{head}list.m3u8\n{extra}")
    with pytest.raises(MediaError, match="names further playlists"):
        indices(first)


@pytest.mark.parametrize("make", KINDS)
def test_a_huge_playlist_is_refused_unread(
    place: Path, make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(place, "a.ts")
    with path.open("ab") as file:
        file.truncate(60 << 30)  # sparse
    with pytest.raises(MediaError, match="more than 16 MiB"):
        indices(path)


@pytest.mark.parametrize("method", ["AES-128", "SAMPLE-AES"])
def test_encrypted_hls_says_so(place: Path, method: str) -> None:
    (place / "key.bin").write_bytes(bytes(16))
    key = f'#EXT-X-KEY:METHOD={method},URI="key.bin"'
    with pytest.raises(MediaError, match="encrypted"):
        indices(hls(place, "a.ts", extra=key))
    assert indices(hls(place, "a.ts", extra="#EXT-X-KEY:METHOD=NONE"))[0] == pytest.approx(
        25, abs=3
    )


@pytest.mark.parametrize("ending", [".mp4", ".ts", ".mkv", ".txt", ""])
def test_a_playlist_under_another_ending_is_none(place: Path, ending: str) -> None:
    path = hls(place, "a.ts").rename(place / f"disguised{ending}")
    with pytest.raises(MediaError, match=r"playlist \(HLS\) under another ending"):
        indices(path)


def test_a_script_names_no_other_playlists(place: Path) -> None:
    inner = hls(place, "/etc/passwd")
    with pytest.raises(MediaError, match="a playlist itself"):
        indices(ffconcat(place, "a.ts", inner.name))
    (place / "inner.ffconcat").write_text("ffconcat version 1.0\nfile ../secret.ts\n")
    with pytest.raises(MediaError, match="a playlist itself"):
        indices(ffconcat(place, "a.ts", "inner.ffconcat"))


@pytest.mark.parametrize(
    "line",
    [
        "option protocol_whitelist file,http,tcp",
        "option safe 0",
        "stream_codec h264",
        "frobnicate 1",
    ],
)
def test_a_script_with_options_is_refused(place: Path, line: str) -> None:
    path = place / "list.ffconcat"
    path.write_text(f"ffconcat version 1.0\nfile a.ts\n{line}\n")
    with pytest.raises(MediaError, match="is not supported"):
        indices(path)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (r"file with\ space.ts", "with space.ts"),
        (r"file 'it'\''s.ts'", "it's.ts"),
        ("  file   'quoted name.ts'  ", "quoted name.ts"),
        ("file it\\'s.ts\r", "it's.ts"),
        ("file http:a.ts", "http:a.ts"),
    ],
)
def test_names_in_scripts_are_read_as_ffmpeg_reads_them(
    place: Path, segments: list[bytes], written: str, name: str
) -> None:
    (place / name).write_bytes(segments[0])
    path = place / "list.ffconcat"
    path.write_text(f"ffconcat version 1.0\n{written}\nduration 1.0\n")
    assert indices(path)[0] == pytest.approx(25, abs=3)


LISTS = {
    "a.sdp": (
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        "m=video 5004 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n",
        "SDP",
    ),
    "a.mpd": ('<?xml version="1.0"?>\n<MPD type="static"><BaseURL>a.ts</BaseURL></MPD>', "DASH"),
    "a.pls": ("[playlist]\nFile1=a.ts\n", "PLS"),
    "a.asx": ('<asx version="3.0"><entry><ref href="a.ts"/></entry></asx>', "ASX"),
    "a.m3u": ("#EXTM3U\n#EXTINF:1,one\na.ts\n", "M3U"),
    "a.smil": ('<smil><body><video src="a.ts"/></body></smil>', "SMIL"),
    "a.xspf": ('<?xml version="1.0"?><playlist><trackList/></playlist>', "XSPF"),
    "a.xml": ("<?xml version='1.0'?>\n<CompositionPlaylist/>", "IMF"),
    "a.idx": ("# VobSub index file, v7 (do not modify this line!)\nid: en, index: 0\n", "VobSub"),
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("ending", [None, ".mp4"])
def test_other_lists_are_named_and_not_followed(place: Path, name: str, ending: str | None) -> None:
    text, words = LISTS[name]
    path = (place / name).with_suffix(ending) if ending else place / name
    path.write_text(text)
    started = time.monotonic()
    with pytest.raises(SyncToolError, match=words):
        indices(path)
    assert time.monotonic() - started < 5


def test_image_patterns_are_names(place: Path) -> None:
    with pytest.raises(MissingError, match="no such file"):
        indices(place / "image%03d.png")
