"""Who speaks in a video, told by where it lies: the folder layouts of the known corpora."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CONTAINERS = frozenset(
    "dev test train val valid validation trainval pretrain main mp4 mp4s mpg mpeg video videos films "
    "clips data vox1 vox2 voxceleb voxceleb1 voxceleb2 grid lrs2 lrs3 mvlrs_v1 lrw lipread_mp4".split()
)
"""Folders that hold speakers and are none."""
_SPLITS = {
    **dict.fromkeys(("train", "trainval", "pretrain"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "dev"),
    "test": "test",
}
"""VoxCeleb's ``dev`` is what one trains on, so it says nothing here."""
_VOXCELEB = re.compile(r"id\d{5}")
_GRID = re.compile(r"s\d{1,2}")
_LRW = re.compile(r"[A-Z]+_\d{5}")


@dataclass(frozen=True)
class Identity:
    """Who and what a video is.

    Attributes:
        speaker: Who speaks, "" if the place does not tell.
        film: The recording it is a part of.
        split: ``train``, ``dev`` or ``test`` where the place says so, else "".
    """

    speaker: str
    film: str
    split: str = ""


def voxceleb(parts: tuple[str, ...]) -> Identity:
    """``.../id00012/21Uxsk56VDQ/00001.mp4``: speaker, video, clip (Nagrani et al. 2017)."""
    folders = parts[:-1]
    for at, name in enumerate(folders):
        if _VOXCELEB.fullmatch(name):
            film = folders[at + 1] if at + 1 < len(folders) else _stem(parts)
            return Identity(name, f"{name}/{film}", "test" if "test" in folders[:at] else "")
    return folders_tree(parts)


def grid(parts: tuple[str, ...]) -> Identity:
    """``s1/.../bbaf2n.mpg``: speaker, sentence (Cooke et al. 2006)."""
    for name in parts[:-1]:
        if _GRID.fullmatch(name.lower()):
            return Identity(name, f"{name}/{_stem(parts)}")
    return folders_tree(parts)


def lrs(parts: tuple[str, ...]) -> Identity:
    """``pretrain/5535415699068794046/00001.mp4``: split, recording, utterance (LRS2, LRS3).

    The recording stands for its speaker, whom nobody has named.
    """
    folders = parts[:-1]
    if not folders:
        return flat(parts)
    return Identity(folders[-1], folders[-1], _split(folders[:-1]))


def lrw(parts: tuple[str, ...]) -> Identity:
    """``ABOUT/train/ABOUT_00001.mp4``: word, split, utterance; nobody says who speaks (LRW)."""
    return Identity("", "/".join((*parts[:-1], _stem(parts))), _split(parts[:-1]))


def folders_tree(parts: tuple[str, ...]) -> Identity:
    """``speaker/film/clip.mp4`` or ``speaker/clip.mp4``, below folders that only hold others."""
    folders = [name for name in parts[:-1] if name.lower() not in _CONTAINERS]
    if not folders:
        return flat(parts)
    film = "/".join(folders) if len(folders) > 1 else f"{folders[0]}/{_stem(parts)}"
    return Identity(folders[0], film, _split(parts[:-1]))


def flat(parts: tuple[str, ...]) -> Identity:
    """Any place: every video for itself, nobody named."""
    return Identity("", "/".join((*parts[:-1], _stem(parts))))


def known(parts: tuple[str, ...]) -> Identity:
    """Tell the layout by the names themselves, each video for itself."""
    folders = parts[:-1]
    if any(_VOXCELEB.fullmatch(name) for name in folders):
        return voxceleb(parts)
    if _LRW.fullmatch(_stem(parts)) and _split(folders):
        return lrw(parts)
    if len(folders) >= 2 and folders[-2] in ("main", "pretrain", "trainval"):
        return lrs(parts)
    if any(_GRID.fullmatch(name) for name in folders):
        return grid(parts)
    return folders_tree(parts)


def _split(folders: tuple[str, ...]) -> str:
    for name in folders:
        if name.lower() in _SPLITS:
            return _SPLITS[name.lower()]
    return ""


def _stem(parts: tuple[str, ...]) -> str:
    return parts[-1].rsplit(".", 1)[0]
