"""Which files of a folder are videos: by the endings that cameras, broadcasters, recorders and programs
give them, and by the first bytes where an ending is used for other things as well.

Endings of pure audio, of still images and of raw video streams, which cannot hold audio (``.m2v``,
``.h264``, ``.y4m``), are left out on purpose.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

HEAD_BYTES = 4096
"""First bytes of a file that are enough to tell."""

_MP4 = ".mp4 .m4v .mp4v .mov .qt .mqv .f4v .f4p .3gp .3gpp .3g2 .3gp2 .ismv .mj2 .cmfv .hdmov .psp"
_MP4_CAMERAS = ".lrv .lrf .insv .360"  # GoPro, DJI, Insta360
_MATROSKA = ".mkv .mk3d .webm"
_TRANSPORT = ".ts .m2t .m2ts .mts .mt2s .mp2t .mpegts .tp .trp .tts .ssif .tod"
_PROGRAM = ".mpg .mpeg .mpe .mpeg1 .mpeg2 .mpeg4 .m2p .ps .vob .evo .vro .vdr .pva .mpv2"
_AVI = ".avi .divx .xvid .amv"
_WINDOWS = ".asf .wmv .wm .dvr-ms .wtv"
_FLASH_REAL_OGG = ".flv .kux .rm .rmvb .rv .ivr .ogv .ogm .ogx"
_BROADCAST = ".mxf .gxf .lxf .dv .dif .nut .nuv"
_RECORDERS = ".dav .mxg .nsv .ty .ty+"  # surveillance, set-top boxes
_GAMES = ".bik .roq .smk .thp .usm .viv .vqa .xmv"

VIDEO_SUFFIXES = frozenset(
    f"{_MP4} {_MP4_CAMERAS} {_MATROSKA} {_TRANSPORT} {_PROGRAM} {_AVI} {_WINDOWS} {_FLASH_REAL_OGG} "
    f"{_BROADCAST} {_RECORDERS} {_GAMES}".split()
)
"""Endings of videos, in small letters."""
DOUBTFUL_SUFFIXES = frozenset(".ogg .mod .dat .rec .str .mpv .vid".split())
"""Endings that videos share with other files (Ogg audio, tracker music and Go modules, data): the first
bytes decide."""
_KNOWN_OTHERS = frozenset(
    ".txt .md .rst .html .xml .json .jsonl .yaml .yml .toml .csv .tsv .parquet .log .ini .py .sh .srt "
    ".vtt .ass .sub .idx .jpg .jpeg .png .gif .bmp .webp .tif .tiff .heic .svg .pdf .wav .mp3 .m4a .aac "
    ".flac .opus .oga .wma .ac3 .mka .aif .aiff .npy .npz .pt .pth .onnx .safetensors .pkl .h5 .zip .gz "
    ".tar .part .crdownload .download .m3u8 .m3u .mpd .thm .lock".split()
)

_BRANDS_OTHER = (b"M4A ", b"M4B ", b"M4P ", b"avif", b"avis", b"heic", b"heix", b"mif1", b"crx ")
_OGG_VIDEO = re.compile(rb"\x80theora|\x01video\0\0\0|OVP80|BBCD\0")
_MAGIC = (
    b"\x1a\x45\xdf\xa3",  # Matroska
    b"FLV\x01",
    b".RMF\0",
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF
    b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02",  # MXF
    b"\x00\x00\x00\x00\x01\xbc",  # GXF
    b"nut/multimedia container",
)


def suffix_of(name: str) -> str:
    """The ending of a name, in small letters: ``.mp4``."""
    return os.path.splitext(name.rsplit("/", 1)[-1])[1].lower()


def is_video(name: str, head: Callable[[], bytes]) -> bool:
    """Whether a file is taken for a video.

    Args:
        name: Its name; hidden files are none.
        head: Gives its first ``HEAD_BYTES``; called only where the name leaves a doubt.
    """
    if name.rsplit("/", 1)[-1].startswith("."):
        return False
    suffix = suffix_of(name)
    if suffix in VIDEO_SUFFIXES:
        return True
    return suffix in DOUBTFUL_SUFFIXES and begins_like_video(head())


def may_hide_video(name: str) -> bool:
    """Whether a file that ``is_video`` passes over could still be one, by its name."""
    hidden = name.rsplit("/", 1)[-1].startswith(".")
    return not hidden and suffix_of(name) not in _KNOWN_OTHERS | DOUBTFUL_SUFFIXES


def begins_like_video(head: bytes) -> bool:
    """Whether the first bytes are those of a container that holds video.

    Args:
        head: ``HEAD_BYTES`` or fewer.
    """
    if head.startswith(_MAGIC):
        return True
    if head[:4] == b"OggS":
        return _OGG_VIDEO.search(head) is not None
    if head[:4] == b"RIFF":
        return head[8:12] in (b"AVI ", b"AVIX", b"AMV ", b"CDXA")
    if head[4:8] == b"ftyp":
        return head[8:12] not in _BRANDS_OTHER
    if head[4:8] == b"moov":
        return b"vide" in head
    return _is_transport_stream(head)


def _is_transport_stream(head: bytes) -> bool:
    """Sync bytes in a row, plain, with the time codes of Blu-ray, or with error correction."""
    for size, first in ((188, 0), (192, 4), (204, 0)):
        sync = head[first::size]
        if len(sync) >= 4 and sync == b"\x47" * len(sync):
            return True
    return False
