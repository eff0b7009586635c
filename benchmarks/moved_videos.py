"""Real videos whose audio is moved by a known amount, through the whole of ``detect``."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from speed import loop

from synctool.errors import MissingError
from synctool.measure.detect import Detector
from synctool.media.video_file import VideoFile
from synctool.repairing.run import repair
from synctool.types import FRAME_MS, SAMPLES_PER_FRAME
from videos import best_match, read_video, write_video

SHORT_MOVE_FRAMES = 15
LONG_MOVE_FRAMES = 122
"""Three frames less than what is searched, so that a constant cannot push the answer to the edge."""
LONG_VIDEO_S = 20.0
CLIPS_JOINED = 7


@dataclass(frozen=True)
class Moved:
    """One video with its audio moved.

    Attributes:
        video: Its name.
        person: Who speaks.
        moved_frames: How far the audio was moved ahead.
        expected: The true offset in frames.
        found: The best match, answered or not; None where there is none.
        answered: Whether ``detect`` gives it as an answer.
        confidence: 0..1.
        reason: Why not.
    """

    film: str
    person: str
    moved_frames: float
    expected: float
    found: float | None
    answered: bool
    confidence: float
    reason: str | None

    @property
    def error(self) -> float | None:
        """Frames."""
        return None if self.found is None else self.found - self.expected

    @property
    def right(self) -> bool:
        """Whether the best match lies within a frame of the truth."""
        return self.error is not None and abs(self.error) <= 1.0


def dev_videos(corpus: Path, *, limit: int | None = None) -> list[Path]:
    """The videos of the GRID speakers that the corpus keeps from training.

    Raises:
        MissingError: The corpus is not there.
    """
    manifest = corpus / "manifest.csv"
    if not manifest.is_file():
        raise MissingError(
            f"no corpus: {manifest} is not there",
            remedy="Give it with --corpus, or set SYNCTOOL_CORPUS.",
        )
    counts: dict[str, int] = {}
    films = []
    with manifest.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["source"] == "GRID" and row["split"] == "dev":
                counts[row["speaker"]] = counts.get(row["speaker"], 0) + 1
                if limit is None or counts[row["speaker"]] <= limit:
                    films.append(corpus / row["path"])
    return films


def whole_clips(
    films: Sequence[Path], measuring: Detector, work: Path, *, fractional: bool
) -> list[Moved]:
    """GRID clips moved by up to 15 frames, whole frames or fractions of them.

    The corpus's own constant is the median answer over the videos unmoved.

    Args:
        videos: The videos; their folder is named after the speaker.
        measuring: Searches 18 frames, so that the constant cannot push an answer to the edge.
        work: For the moved videos.
        fractional: Move by any number of milliseconds, not by whole frames.
    """
    rng = np.random.default_rng(12 if fractional else 11)
    still = [best_match(measuring.detect(film)) for film in films]
    constant = statistics.median([offset for offset in still if offset is not None] or [0.0])
    rows = []
    for film in films:
        if fractional:
            reach = round(SHORT_MOVE_FRAMES * FRAME_MS)
            shift = int(rng.integers(-reach, reach + 1)) / FRAME_MS
        else:
            shift = float(rng.integers(-SHORT_MOVE_FRAMES, SHORT_MOVE_FRAMES + 1))
        rows.append(_measured(film, film.parent.name, shift, constant, measuring, work))
    return rows


def far_moves(
    films: Sequence[tuple[Path, str]], near: Detector, wide: Detector, work: Path
) -> list[Moved]:
    """Long videos moved by up to 122 frames, each three times: far behind, a little, far ahead.

    What a video says unmoved, by the usual short search, is taken for its own offset; for videos of one
    person its median over them.

    Args:
        videos: Videos and who speaks in them.
        near: Searches the usual range.
        wide: Searches 125 frames.
        work: For the moved videos.
    """
    rng = np.random.default_rng(13)
    own: dict[str, list[float]] = {}
    for film, person in films:
        answer = near.detect(film).offset_frames
        if answer is not None:
            own.setdefault(person, []).append(answer)
    rows = []
    for film, person in films:
        if person not in own:
            continue
        for low, high in ((-LONG_MOVE_FRAMES, -40), (-40, 40), (40, LONG_MOVE_FRAMES)):
            shift = round(rng.uniform(low, high) * FRAME_MS) / FRAME_MS
            rows.append(_measured(film, person, shift, statistics.median(own[person]), wide, work))
    return rows


def joined_videos(films: Iterable[Path], work: Path) -> list[tuple[Path, str]]:
    """Videos of 20 s and more from the short ones of each speaker, every one used once."""
    speakers: dict[str, list[Path]] = {}
    for film in films:
        speakers.setdefault(film.parent.name, []).append(film)
    made = []
    for speaker, own in speakers.items():
        for number in range(len(own) // CLIPS_JOINED):
            images: list[np.ndarray] = []
            waveforms = []
            for film in own[number * CLIPS_JOINED : (number + 1) * CLIPS_JOINED]:
                frames, waveform = read_video(film)
                length = len(frames) * SAMPLES_PER_FRAME
                images += frames
                waveforms.append(np.pad(waveform[:length], (0, max(0, length - waveform.size))))
            path = work / f"{speaker}-{number}.mkv"
            write_video(path, images, np.concatenate(waveforms))
            made.append((path, speaker))
    return made


def looped_videos(films: Iterable[Path], work: Path) -> list[tuple[Path, str]]:
    """Videos of 20 s and more: those that are shorter over and over."""
    made = []
    for film in films:
        with VideoFile(film) as opened:
            seconds = opened.source.duration_s
        path = film
        if seconds < LONG_VIDEO_S:
            path = work / f"{film.stem}-looped.mkv"
            loop(film, path, LONG_VIDEO_S / 60)
        made.append((path, film.stem))
    return made


def _measured(
    film: Path, person: str, shift: float, constant: float, measuring: Detector, work: Path
) -> Moved:
    path = work / "moved.mkv"
    repair(film, path, -FRAME_MS * shift)
    result = measuring.detect(path)
    path.unlink()
    return Moved(
        film=f"{person}/{film.stem}",
        person=person,
        moved_frames=shift,
        expected=constant + shift,
        found=best_match(result),
        answered=result.offset_frames is not None,
        confidence=result.confidence,
        reason=result.reason,
    )
