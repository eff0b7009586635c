"""Which decoders and encoders the FFmpeg of PyAV has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from synctool.doctor.findings import Finding

SECTION = "Decoders and encoders"
_REMEDY = "pip install --force-reinstall av (the wheels of PyPI carry the common ones)"
_NEEDED = {"h264", "aac", "mp3"}
"""Without these most videos cannot be read."""
_VIDEO: dict[str, Sequence[str]] = {
    "h264": ("h264",),
    "hevc": ("hevc",),
    "av1": ("libdav1d", "libaom-av1"),
    "vp8": ("vp8", "libvpx"),
    "vp9": ("vp9", "libvpx-vp9"),
    "mpeg2video": ("mpeg2video",),
    "mpeg4": ("mpeg4",),
    "prores": ("prores",),
    "dnxhd": ("dnxhd",),
    "mjpeg": ("mjpeg",),
    "vc1": ("vc1",),
}
_AUDIO: dict[str, Sequence[str]] = {
    "aac": ("aac",),
    "mp3": ("mp3float", "mp3"),
    "ac3": ("ac3",),
    "eac3": ("eac3",),
    "opus": ("opus", "libopus"),
    "vorbis": ("vorbis", "libvorbis"),
    "flac": ("flac",),
    "alac": ("alac",),
    "dts": ("dca",),
    "wma": ("wmav2",),
    "pcm": ("pcm_s16le",),
}
_ENCODERS = {
    "libx264": "the player of --html (else VP9), compare --perturb",
    "libmp3lame": "the player of --html (else FLAC), fix of MP3",
    "libvpx-vp9": "the player of --html without libx264",
    "aac": "fix of AAC",
}


def codecs() -> Iterator[Finding]:
    """One finding for each kind: what is there, and what is missing."""
    for kind, known in (("video decoders", _VIDEO), ("audio decoders", _AUDIO)):
        lacking = [name for name, codecs in known.items() if not any(_has(c, "r") for c in codecs)]
        here = ", ".join(name for name in known if name not in lacking)
        if not lacking:
            yield Finding(SECTION, kind, "ok", here)
            continue
        status = "problem" if _NEEDED & set(lacking) else "warning"
        told = f"missing: {', '.join(lacking)}; here: {here or 'none'}"
        yield Finding(SECTION, kind, status, told, _REMEDY)
    lacking = [name for name in _ENCODERS if not _has(name, "w")]
    here = ", ".join(name for name in _ENCODERS if name not in lacking)
    if lacking:
        serves = "; ".join(f"{name} ({_ENCODERS[name]})" for name in lacking)
        yield Finding(SECTION, "encoders", "note", f"missing: {serves}", _REMEDY)
    else:
        yield Finding(SECTION, "encoders", "ok", here)


def _has(name: str, mode: str) -> bool:
    from av.codec import Codec

    try:
        Codec(name, "r" if mode == "r" else "w")
    except ValueError:
        return False
    return True
