"""Segments of clips with audio moved by known amounts, as a model answers them: labels that need nobody.

A segment of 1, 2 or 3 s is measured as a video by itself: its frames, and audio of the same length that was
cut out moved by so many frames. What a clip's own offset is, nobody knows; but its other frames answer that
too, and the segment must answer as much more as its audio was moved. The same is done with another clip's
audio, which must get no answer, and whose agreement with itself says what chance makes of it.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from synctool.data.pool import PooledSample
from synctool.files import atomic_path
from synctool.measure.embeddings import AudioEmbeddings, FaceEmbeddings
from synctool.measure.encode_clip import encode_audio, encode_crops
from synctool.measure.volumes import score_volume
from synctool.networks.loaded import LoadedModel
from synctool.scoring.confidence import Calibration
from synctool.scoring.offset import OffsetEstimate, estimate_offset
from synctool.scoring.verdict import Circumstances, decide
from synctool.types import DEFAULT_MAX_OFFSET, SAMPLES_PER_FRAME, VIDEO_FPS
from synctool.untrusted.origin import MalformedError, Origin
from synctool.untrusted.regular import MIB, read_regular

LENGTHS_S = (1, 2, 3)
"""Seconds of the segments."""
FARTHEST_FRAMES = 10
"""Audio is moved by at most this."""
WHOLE = 0
"""As a length: the whole clip, its audio not moved."""
_EACH = 2
"""Segments of each length from a clip, at different places."""
_LEAST_REST_FRAMES = 25
_ROWS = 2 * DEFAULT_MAX_OFFSET + 1
_LARGEST = 256 * MIB
_DAMAGE = (
    *(ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, RuntimeError),
    *(MemoryError, OverflowError, NotImplementedError, zipfile.BadZipFile, zlib.error),
)
"""What NumPy raises for files that are none of its own."""


@dataclass(frozen=True)
class MeasuredSegments:
    """Segments and whole clips as one model answers them, in columns of ``N``.

    Attributes:
        clip: Number of the clip.
        length_s: Length in seconds; 0 for a whole clip.
        foreign: Whether the audio is another clip's.
        moved: By how many frames its audio is ahead of the clip's own, a multiple of a sample.
        rest: What the other frames of the clip answer with the same audio, in frames; NaN where there are
            too few.
        halves: By how many frames the answers of the two halves of a whole clip differ; NaN for segments, and
            for clips of less than two seconds.
        offset: Answer, in frames; NaN where there is nothing to compare.
        row: See ``OffsetEstimate``.
        margin: Likewise.
        t_stat: Likewise.
        frames: Likewise.
        at_edge: Likewise.
        level: Likewise.
        curve: Likewise, ``[N, 31]``.
    """

    clip: np.ndarray
    length_s: np.ndarray
    foreign: np.ndarray
    moved: np.ndarray
    rest: np.ndarray
    halves: np.ndarray
    offset: np.ndarray
    row: np.ndarray
    margin: np.ndarray
    t_stat: np.ndarray
    frames: np.ndarray
    at_edge: np.ndarray
    level: np.ndarray
    curve: np.ndarray

    def __len__(self) -> int:
        return len(self.clip)

    def estimate(self, i: int) -> OffsetEstimate | None:
        """The answer of one."""
        if np.isnan(self.offset[i]):
            return None
        return OffsetEstimate(
            offset_frames=float(self.offset[i]),
            row=int(self.row[i]),
            margin=float(self.margin[i]),
            t_stat=float(self.t_stat[i]),
            frames=int(self.frames[i]),
            at_edge=bool(self.at_edge[i]),
            curve=self.curve[i],
            level=float(self.level[i]),
        )

    def answered(self, calibration: Calibration) -> np.ndarray:
        """Which get an answer: bool ``[N]``."""
        return np.array([_is_answer(self.estimate(i), calibration) for i in range(len(self))], bool)

    def confidence(self, calibration: Calibration) -> np.ndarray:
        """Confidence of a match, 0 where the audio passes for another's: float ``[N]``."""
        found = np.zeros(len(self))
        for i in range(len(self)):
            estimate = self.estimate(i)
            if estimate is not None:
                sure = calibration.certainty(estimate)
                found[i] = sure.confidence if sure.is_match else 0.0
        return found

    def save(self, path: Path) -> None:
        """Write them, atomically."""
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, path: Path) -> MeasuredSegments:
        """Read what ``save`` wrote.

        Raises:
            MissingError: It is not there, or cannot be read.
            SyncToolError: It is damaged.
        """
        origin = Origin(str(path), "Remove it, and run the same command again.")
        with origin.reading("file", path, missing="Run the same command again."):
            content = io.BytesIO(read_regular(path, most=_LARGEST))
            try:
                with np.load(content, allow_pickle=False) as stored:
                    columns = {f.name: stored[f.name] for f in fields(cls)}
            except _DAMAGE as error:
                raise MalformedError(error) from error
            shapes = {
                name: (*column.shape, column.dtype.kind in "bif")
                for name, column in columns.items()
            }
            count = len(columns["clip"]) if columns["clip"].ndim else -1
            for name, shape in shapes.items():
                if shape != ((count, _ROWS, True) if name == "curve" else (count, True)):
                    raise MalformedError(f"its column {name} has another shape")
            return cls(**columns)


def measure_segments(
    model: LoadedModel,
    samples: Sequence[PooledSample],
    units: Sequence[str],
    *,
    seed: int,
    lengths_s: Sequence[int] = LENGTHS_S,
    on_clip: Callable[[int, int], None] | None = None,
) -> MeasuredSegments:
    """Measure segments of clips with their own and with another's audio, moved by known amounts.

    Which segments these are depends on the clips and the seed alone, so that answers of several models can
    be compared one by one.

    Args:
        model: The model.
        samples: The clips.
        units: Person or video of each; another's audio is of another one.
        seed: Seed.
        lengths_s: Seconds of the segments; none for whole clips with their own audio only.
        on_clip: Told how many clips are done, and how many there are.
    """
    rows: list[_Row] = []
    for number, sample in enumerate(samples):
        rng = np.random.default_rng((seed, number))
        face = encode_crops(model, sample.crops, sample.info)
        others = [i for i, unit in enumerate(units) if unit != units[number]]
        other = samples[int(rng.choice(others))] if others else None
        drawn = [(length_s, rng.random(3).tolist()) for length_s in lengths_s for _ in range(_EACH)]
        for foreign, source in ((False, sample), (True, other)):
            if source is None or (foreign and not lengths_s):
                continue
            lead = sample.info.sound_lead if not foreign else 0
            rows += _of_pair(model, number, face, source.audio, lead, drawn, foreign=foreign)
        if on_clip is not None:
            on_clip(number + 1, len(samples))
    return _columns(rows)


@dataclass(frozen=True)
class _Row:
    clip: int
    length_s: int
    foreign: bool
    moved: float
    rest: float
    estimate: OffsetEstimate | None
    halves: float = np.nan


def _of_pair(
    model: LoadedModel,
    number: int,
    face: FaceEmbeddings,
    audio: np.ndarray,
    lead: int,
    drawn: Sequence[tuple[int, list[float]]],
    *,
    foreign: bool,
) -> list[_Row]:
    """A face with one audio, whole and in segments; ``lead`` samples lie before its first frame."""
    heard = encode_audio(model, audio, at=-lead)
    volume = _volume(model, face, heard)
    rows = [_Row(number, WHOLE, foreign, 0.0, np.nan, estimate_offset(volume), _halves(volume))]
    for length_s, (place, move, elsewhere) in drawn:
        frames = length_s * VIDEO_FPS
        if face.frames < frames:
            continue
        start = int(place * (face.frames - frames + 1))
        length = frames * SAMPLES_PER_FRAME
        begin = lead + start * SAMPLES_PER_FRAME
        rest = np.delete(volume, np.s_[start : start + frames], axis=1)
        reach = FARTHEST_FRAMES * SAMPLES_PER_FRAME
        low, high = max(-reach, -begin), min(reach, audio.size - length - begin)
        if low > high:
            if not foreign:
                continue
            begin, low, high = int(elsewhere * max(audio.size - length + 1, 1)), 0, 0
            rest = volume[:, :0]  # the audio lies elsewhere than that of the other frames
        moved = low + int(move * (high - low + 1))
        cut = audio[max(begin + moved, 0) :][:length]
        part = face.part(start, start + frames)
        assert part is not None
        own = _volume(model, replace(part, first_frame=0), encode_audio(model, cut))
        told = None
        if rest.shape[1] >= max(frames, _LEAST_REST_FRAMES):
            told = estimate_offset(rest)
        rows.append(
            _Row(
                number,
                length_s,
                foreign,
                moved / SAMPLES_PER_FRAME,
                np.nan if told is None else told.offset_frames,
                estimate_offset(own),
            )
        )
    return rows


def _halves(volume: np.ndarray) -> float:
    """By how many frames the answers of both halves differ; NaN where these are short."""
    middle = volume.shape[1] // 2
    if middle < _LEAST_REST_FRAMES:
        return float("nan")
    found = [estimate_offset(part) for part in (volume[:, :middle], volume[:, middle:])]
    first, second = (float("nan") if e is None else e.offset_frames for e in found)
    return float(np.nan_to_num(abs(first - second), nan=np.inf))


def _volume(model: LoadedModel, face: FaceEmbeddings, audio: AudioEmbeddings) -> np.ndarray:
    return score_volume(model, face, audio, max_offset=DEFAULT_MAX_OFFSET)


def _columns(rows: Sequence[_Row]) -> MeasuredSegments:
    nothing = OffsetEstimate(np.nan, 0, 0.0, 0.0, 0, True, np.zeros(_ROWS, np.float32))
    found = [row.estimate or nothing for row in rows]
    return MeasuredSegments(
        clip=np.array([row.clip for row in rows], int),
        length_s=np.array([row.length_s for row in rows], int),
        foreign=np.array([row.foreign for row in rows], bool),
        moved=np.array([row.moved for row in rows], float),
        rest=np.array([row.rest for row in rows], float),
        halves=np.array([row.halves for row in rows], float),
        offset=np.array([e.offset_frames for e in found], float),
        row=np.array([e.row for e in found], int),
        margin=np.array([e.margin for e in found], float),
        t_stat=np.array([e.t_stat for e in found], float),
        frames=np.array([e.frames for e in found], int),
        at_edge=np.array([e.at_edge for e in found], bool),
        level=np.array([e.level for e in found], float),
        curve=np.array([e.curve for e in found], np.float32).reshape(len(found), _ROWS),
    )


def _is_answer(estimate: OffsetEstimate | None, calibration: Calibration) -> bool:
    """Whether ``detect`` would answer."""
    if estimate is None:
        return False
    sure = calibration.certainty(estimate)
    known = Circumstances(belongs=sure.belongs, least_belongs=sure.least_belongs)
    decision = decide(
        estimate.offset_frames,
        confidence=sure.confidence,
        max_offset=DEFAULT_MAX_OFFSET,
        frames=estimate.frames,
        at_edge=estimate.at_edge,
        circumstances=known,
    )
    return decision.verdict != "inconclusive"
