"""What a file is that was given for a video and is not one, told by its first bytes and its name."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

HEAD_BYTES = 4096
"""First bytes of a file that are enough to tell."""


@dataclass(frozen=True)
class FileType:
    """A kind of file.

    Attributes:
        words: With its article, to continue ``it is``.
        remedy: What to give in its place.
    """

    words: str
    remedy: str


_GIVE_VIDEO = "Give the video file itself."
_UNPACK = "Unpack it, and give the video that is in it."
_DECRYPT = "Decrypt it first, and give the video that is in it."
_DOWNLOAD = "Download the video, then give the file."
_AGAIN = "Download or copy the video again, and wait until it is complete."

_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*|<\?xml[^>]*>\s*)*<(?:!doctype\s+html|html|head|body)\b",
    re.I | re.S,
)
_PAGE = FileType(
    "a web page (HTML)",
    "The download brought a page in place of the video: sign in or follow its link, and download again.",
)
_SIGNATURES: tuple[tuple[bytes | re.Pattern[bytes], FileType], ...] = (
    (_HTML, _PAGE),
    (b"version https://git-lfs", FileType("a git-lfs pointer", "Fetch the file: git lfs pull.")),
    (b"%PDF", FileType("a PDF document", _GIVE_VIDEO)),
    (b"{\\rtf", FileType("a text document (RTF)", _GIVE_VIDEO)),
    (b"\xd0\xcf\x11\xe0", FileType("an Office document", _GIVE_VIDEO)),
    (b"Rar!\x1a\x07", FileType("a RAR archive", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", FileType("a 7-Zip archive", _UNPACK)),
    (b"\x1f\x8b\x08", FileType("gzip-compressed data", _UNPACK)),
    (b"BZh", FileType("bzip2-compressed data", _UNPACK)),
    (b"\xfd7zXZ\0", FileType("xz-compressed data", _UNPACK)),
    (b"\x28\xb5\x2f\xfd", FileType("zstd-compressed data", _UNPACK)),
    (re.compile(rb".{257}ustar", re.S), FileType("a tar archive", _UNPACK)),
    (b"Salted__", FileType("an encrypted file (OpenSSL)", _DECRYPT)),
    (b"age-encryption.org", FileType("an encrypted file (age)", _DECRYPT)),
    (b"-----BEGIN PGP", FileType("an encrypted file (PGP)", _DECRYPT)),
    (b"-----BEGIN AGE", FileType("an encrypted file (age)", _DECRYPT)),
    (
        re.compile(rb"d\d+:(?:announce|created by|creation date|comment|info|encoding|url-list)"),
        FileType("a torrent, which names a download", _DOWNLOAD),
    ),
    (b"[InternetShortcut]", FileType("a link to a web page", _DOWNLOAD)),
    (
        b"L\0\0\0\x01\x14\x02\0",
        FileType("a shortcut of Windows", "Give the file that it leads to."),
    ),
    (b"book\0\0\0\0mark", FileType("an alias of macOS", "Give the file that it leads to.")),
    (b"bplist00", FileType("a property list, perhaps in place of a file in the cloud", _AGAIN)),
    (b"SQLite format 3\0", FileType("a database (SQLite)", _GIVE_VIDEO)),
    (b"\x7fELF", FileType("a program", _GIVE_VIDEO)),
    (re.compile(rb"MZ.{32,}This program", re.S), FileType("a program", _GIVE_VIDEO)),
)
_LISTS: tuple[tuple[re.Pattern[bytes], FileType], ...] = tuple(
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*" + start, re.I | re.S), FileType(words, remedy))
    for start, words, remedy in (
        (
            rb"#EXTM3U.*#EXT-X-",
            "a playlist (HLS) under another ending",
            "Give it the ending .m3u8, beside its segments.",
        ),
        (rb"#EXTM3U", "a list of media files (M3U)", "Give the files that it names."),
        (rb"\[playlist\]", "a list of media files (PLS)", "Give the files that it names."),
        (rb"<asx\b", "a list of media files (ASX)", "Give the files that it names."),
        (rb"\[reference\]", "a list of media files (ASX)", "Give the files that it names."),
        (
            rb"(?:<\?[^>]*>\s*)*<smil\b",
            "a list of media files (SMIL)",
            "Give the files that it names.",
        ),
        (
            rb"(?:<\?[^>]*>\s*)*<playlist\b",
            "a list of media files (XSPF)",
            "Give the files that it names.",
        ),
        (
            rb"(?:<\?[^>]*>\s*|<!--.*?-->\s*)*<(?:\w+:)?MPD\b",
            "a manifest (DASH), which names files of segments",
            "Join them first: ffmpeg -i manifest.mpd -c copy joined.mp4",
        ),
        (
            rb"(?:<\?[^>]*>\s*|<!--.*?-->\s*)*<(?:\w+:)?CompositionPlaylist\b",
            "a composition playlist (IMF), which names other files",
            "Give the MXF file, or export the composition as one file.",
        ),
        (
            rb"v=0\s*\r?\no=",
            "a session description (SDP), which names a stream in the network",
            "Record the stream first, then give the file.",
        ),
        (rb"#\s*VobSub index file", "an index of subtitles (VobSub)", _GIVE_VIDEO),
        (rb"WEBVTT", "a subtitle file (WebVTT)", _GIVE_VIDEO),
        (rb"\[Script Info\]", "a subtitle file (ASS)", _GIVE_VIDEO),
        (rb"\d+\s*\r?\n\d+:\d\d:\d\d[,.]\d+\s*-->", "a subtitle file (SubRip)", _GIVE_VIDEO),
        (rb"\{\d+\}\{\d+\}", "a subtitle file (MicroDVD)", _GIVE_VIDEO),
        (rb"(?:<\?[^>]*>\s*)*<(?:\w+:)?tt\b", "a subtitle file (TTML)", _GIVE_VIDEO),
        (
            rb"(?:<\?[^>]*>\s*|<!doctype[^>]*>\s*)*<(?:fcpxml|xmeml)\b",
            "a project of an editing program",
            "Export the video, and give that.",
        ),
        (rb"(?:<\?[^>]*>\s*)+<", "an XML document", _GIVE_VIDEO),
        (rb'[{\[]\s*["{\[\]}]', "a JSON document", _GIVE_VIDEO),
    )
)
_IMAGES: tuple[tuple[bytes | re.Pattern[bytes], str], ...] = (
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"8BPS", "Photoshop"),
    (re.compile(rb"RIFF.{4}WEBP", re.S), "WebP"),
    (re.compile(rb".{4}ftyp(?:hei[cxms]|hev[cx]|mif1|msf1|avi[fs])", re.S), "HEIF"),
    (re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<svg\b", re.I), "SVG"),
)
_UNFINISHED = (
    ".part", ".partial", ".crdownload", ".download", ".opdownload", ".aria2", ".!ut", ".!qb", ".bc!",
    ".ytdl", ".filepart", ".icloud", ".tmp",
)  # fmt: skip
_ZIP = b"PK\x03\x04"
_TEXT_CONTROLS = set(b"\t\n\r\f\x1b")


def certainly(head: bytes) -> FileType | None:
    """The type of a file that no video can be, by its signature; None if it may be a video.

    Args:
        head: The first bytes.
    """
    if head.startswith(_ZIP):
        locked = len(head) > 6 and head[6] & 1
        words = "a ZIP archive with a password" if locked else "a ZIP archive"
        return FileType(words, _DECRYPT if locked else _UNPACK)
    for signature, kind in _SIGNATURES:
        if _begins(head, signature):
            return kind
    return None


def probably(head: bytes, name: str) -> FileType | None:
    """The type of a file that FFmpeg could not read as a video; None where nothing is known.

    Args:
        head: The first bytes.
        name: Its name.
    """
    if len(head) >= 512 and not any(head):
        return FileType("nothing but zeros where a video begins: an unfinished download", _AGAIN)
    for start, kind in _LISTS:
        if start.match(head):
            return kind
    if (image := image_kind(head)) is not None:
        return image
    ending = os.path.splitext(name)[1].lower()
    if ending in _UNFINISHED:
        return FileType(f"an unfinished download ({ending})", _AGAIN)
    if _is_text(head):
        return FileType("a text file", _GIVE_VIDEO)
    return None


def image_kind(head: bytes) -> FileType | None:
    """The type of a still image; None if the file is none."""
    for signature, kind in _IMAGES:
        if _begins(head, signature):
            return FileType(f"a still image ({kind})", _GIVE_VIDEO)
    return None


def _begins(head: bytes, signature: bytes | re.Pattern[bytes]) -> bool:
    if isinstance(signature, bytes):
        return head.startswith(signature)
    return signature.match(head) is not None


def _is_text(head: bytes) -> bool:
    """Whether bytes are text in UTF-8 or UTF-16."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    body = head[:-4] if len(head) >= HEAD_BYTES else head  # a character may be cut at the end
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return bool(body) and not any(b < 32 and b not in _TEXT_CONTROLS for b in body)
