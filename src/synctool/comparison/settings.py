"""What a comparison is asked for, and the checks that need no network and no film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from synctool.comparison.conditions import piece_conditions, shift_conditions
from synctool.comparison.degradations import changes_sound_only, parse_perturb
from synctool.comparison.entries import Entry
from synctool.errors import UsageError
from synctool.media.waiting import STALL_S
from synctool.types import StreamSelection

_SOME_TICKS = 25


@dataclass(frozen=True, kw_only=True)
class CompareSettings:
    """What to compare, and how.

    Attributes:
        backbones: ``NAME[.TAG]`` or ``VIDEO[.TAG]+AUDIO[.TAG]``, each with ``=FILE`` for weights of
            its own, or ``=FOLDER`` for an exported model.
        shifts: Frames to move the sound ahead by, ``-10,0,2.5``, or ``random:N``; "" for none.
        pieces_s: Length of the pieces of the pieces test; 0 for none.
        perturb: What to make worse, as ``parse_perturb`` takes it; "" for nothing.
        max_offset: Largest offset searched, in frames.
        detector: Name of the face detector.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        runtime: What runs the networks: see ``load_model``.
        video_track: Which video track, counted from 0; None for that of a player.
        audio_track: Which audio track, counted from 0; None for that of a player.
        channel: Audio channel: a number from 0, a name such as ``FC``, ``mix``, or ``auto``.
        trust: Checksums of exported models that may run code: see ``load_model``.
        max_faces: At most so many faces are followed at a time.
        allow_external: Whether a playlist may name local files outside its folder.
        stall_timeout: Longest wait for a frame, in seconds, before a video is given up; 0 waits for ever.
        seed: Of moves and perturbations.
        jobs: Processes; 0 takes one for each core.
        thumbnails: At most so many pictures of each film.
    """

    backbones: tuple[str, ...] = ("fcn-cls",)
    shifts: str = ""
    pieces_s: float = 0.0
    perturb: str = ""
    max_offset: int = 15
    detector: str = "centerface"
    device: str = "auto"
    runtime: str = "auto"
    video_track: int | None = None
    audio_track: int | None = None
    channel: str = "auto"
    trust: tuple[str, ...] = ()
    max_faces: int = 4
    allow_external: bool = False
    stall_timeout: float = STALL_S
    seed: int = 0
    jobs: int = 1
    thumbnails: int = 0

    @property
    def streams(self) -> StreamSelection:
        """Which streams of a video are measured."""
        return StreamSelection(self.video_track, self.audio_track, self.channel)


def split_backbones(text: str) -> tuple[str, ...]:
    """``syncnet,fcn-cls=best.safetensors`` as the names in it.

    Raises:
        UsageError: There is none, or one is empty.
    """
    names = tuple(part.strip() for part in text.split(","))
    if not all(names):
        raise UsageError(
            f"{text!r} names no networks", remedy="Give names with commas: syncnet,fcn-cls"
        )
    return names


def check_settings(settings: CompareSettings, entries: Sequence[Entry]) -> None:
    """Find mistakes before anything is loaded.

    Raises:
        UsageError: Nothing to compare, or settings that make no sense.
    """
    if not entries:
        raise UsageError("nothing to compare", remedy="Give films, or a --dataset.")
    if not settings.backbones:
        raise UsageError("no networks to compare", remedy="Name them: --backbones syncnet,fcn-cls")
    if settings.max_offset < 1:
        raise UsageError(
            f"max_offset is {settings.max_offset}", remedy="Search at least one frame either way."
        )
    if settings.jobs < 0:
        raise UsageError(f"jobs is {settings.jobs}", remedy="Give 0 for one process per core.")
    if settings.pieces_s < 0:
        raise UsageError(f"pieces of {settings.pieces_s:g} s", remedy="Give 2 or 3 seconds.")
    if settings.shifts:
        shift_conditions(settings.shifts, settings.seed, max_offset=settings.max_offset)
    if settings.pieces_s:
        piece_conditions(_SOME_TICKS, settings.pieces_s, max_offset=settings.max_offset)
    made_worse = parse_perturb(settings.perturb) if settings.perturb else []
    coded = [name for name, _ in made_worse if not changes_sound_only(name)]
    if coded and any(entry.clip is not None for entry in entries):
        raise UsageError(
            f"clips of a processed folder cannot be made worse by {coded[0]}",
            remedy="Give films, or only such as change nothing but the sound, like noise.",
        )
