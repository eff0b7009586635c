"""Real clips, and what can be done to them: other audio, moved or stretched audio, lips not their own.

Everything is made on the crops that a network sees and on the 16 kHz audio, of people whom the default
network was not trained on. The lips are pasted into the crop with a soft ellipse: a simple generator, not a
neural one.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import av
import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from synctool.authenticity.evidence import Evidence, FaceSeries, evidence_of
from synctool.errors import MissingError
from synctool.features.loudness import STEPS, Loudness
from synctool.features.mouth_motion import MouthSeries, mouth_series
from synctool.features.stored_crops import StoredCrops
from synctool.features.voice_activity import speech_probability
from synctool.measure.embeddings import AudioEmbeddings, FaceEmbeddings
from synctool.measure.encode_clip import encode_audio, encode_crops
from synctool.measure.face_encoder import crop_for
from synctool.measure.tracks import build_detector, followed
from synctool.measure.volumes import score_volume
from synctool.media.video_file import VideoFile
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.types import AUDIO_HZ, DEFAULT_MAX_OFFSET, SAMPLES_PER_FRAME

LEAST_FRAMES = 50
MOST_FRAMES = 150
"""Of longer clips the first 6 s are taken."""
NATURAL, DUBBED, REANIMATED = "natural", "dubbed", "reanimated"
SILENT = "another's voice over a silent face"
_LEAST_PAUSE = 12
_MASK = (0.36, 0.27)
"""Half axes of the pasted ellipse, as shares of the crop's side."""


@dataclass(frozen=True)
class Clip:
    """One talking face.

    Attributes:
        name: Its path in the corpus.
        source: The collection.
        person: Who speaks.
        crops: Grey mouth crops, uint8 ``[T, S, S]``.
        samples: int16 ``[N]``, 16 kHz; the first one begins frame 0.
    """

    name: str
    source: str
    person: str
    crops: np.ndarray
    samples: np.ndarray

    @property
    def frames(self) -> int:
        """T."""
        return len(self.crops)


@dataclass(frozen=True)
class Made:
    """A clip, or what was made of it.

    Attributes:
        kind: Name of what was done.
        label: ``natural``, ``dubbed`` or ``reanimated``.
        person: Whose face it is.
        clip: The clip.
        face: All that evidence is read from.
        moved_frames: By how much the audio was moved ahead.
    """

    kind: str
    label: str
    person: str
    clip: str
    face: FaceSeries
    moved_frames: float = 0.0


@dataclass(frozen=True)
class Example:
    """The figures of one of them; of long clips only the first seconds."""

    kind: str
    label: str
    person: str
    source: str
    clip: str
    evidence: Evidence


@dataclass(frozen=True)
class _Stored:
    crop: str = "mouth"
    size_px: int = 72
    colour: str = "gray"


def examples(
    corpus: Path, *, backbone: str = "fcn-cls", cache: Path | None = None, seed: int = 0
) -> tuple[list[Example], str]:
    """All examples of the people whom the default network was not trained on.

    Args:
        corpus: Where the clips are.
        backbone: The model.
        cache: File to read them from, or to keep them in.
        seed: Seed of all choices.

    Returns:
        The examples, and the full name of the model.

    Raises:
        MissingError: There are no clips.
    """
    model = load_model(backbone, device="cpu")
    name = model.spec.full_name
    if cache is not None and cache.is_file():
        kept = json.loads(cache.read_text("utf-8"))
        return [Example(**{**e, "evidence": Evidence(**e["evidence"])}) for e in kept], name
    if not (corpus / "manifest.csv").is_file():
        raise MissingError(f"there is no corpus at {corpus}", remedy="Give --corpus.")
    clips = list(read_clips(corpus, model))
    kinds = Kinds(model, clips, seed=seed)
    found = [
        Example(
            made.kind, made.label, made.person, clip.source, made.clip,
            evidence_of(made.face, model.calibration),
        )
        for clip in clips
        for made in kinds.of(clip)
    ]  # fmt: skip
    if cache is not None:
        cache.write_text(json.dumps([asdict(e) for e in found]), "utf-8")
    return found, name


def read_clips(corpus: Path, model: LoadedModel, *, split: str = "dev") -> Iterator[Clip]:
    """The clips of a split in which one face is seen nearly throughout."""
    faces = build_detector("centerface")
    with (corpus / "manifest.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    for row in rows:
        found: dict[int, list[np.ndarray]] = {}
        with VideoFile(corpus / row["path"]) as video:
            for tracked in followed(video, faces, max_faces=1):
                for number, pose in tracked.poses.items():
                    found.setdefault(number, []).append(
                        crop_for(model.spec.video, tracked.frame, pose)
                    )
            samples, frames = video.audio.pop(video.audio.end), video.frame_count
        crops = max(found.values(), key=len, default=[])
        if len(crops) < max(0.9 * frames, LEAST_FRAMES):
            continue
        kept = min(len(crops), MOST_FRAMES)
        own = samples[: kept * SAMPLES_PER_FRAME]
        own = np.pad(own, (0, kept * SAMPLES_PER_FRAME - own.size))
        yield Clip(row["path"], row["source"], row["speaker"], np.stack(crops[:kept]), own)


class Kinds:
    """Makes all kinds of every clip.

    Args:
        model: The model.
        clips: All clips: others give foreign audio and foreign lips.
        seed: Seed of all choices.
    """

    def __init__(self, model: LoadedModel, clips: Sequence[Clip], *, seed: int = 0) -> None:
        self._model, self._clips = model, clips
        self._rng = np.random.default_rng(seed)
        self._seen: dict[str, FaceEmbeddings] = {}

    def of(self, clip: Clip) -> Iterator[Made]:
        """What can be made of a clip."""
        rng = self._rng
        yield self._made(clip, "own audio", NATURAL, clip.samples)
        moved = int(rng.integers(4, 13)) * int(rng.choice([-1, 1]))
        yield replace(
            self._made(clip, "own audio, moved", NATURAL, _moved(clip.samples, moved)),
            moved_frames=moved,
        )
        other = self._other(clip, lambda c: c.person != clip.person and c.source == clip.source)
        other = other or self._other(clip, lambda c: c.person != clip.person)
        if other is not None:
            yield self._made(clip, "another person's speech", DUBBED, _fitted(other, clip))
        if (same := self._other(clip, lambda c: c.person == clip.person)) is not None:
            kind = "another take" if clip.source == "GRID" else "same person's other speech"
            yield self._made(clip, kind, DUBBED, _fitted(same, clip))
        yield self._made(clip, "own audio, stretched", DUBBED, stretched(clip.samples, rng))
        if other is not None and (silent := _silent_face(clip)) is not None:
            yield self._made(clip, SILENT, DUBBED, _fitted(other, clip), silent)
        for kind, crops in self._lips(clip, same or other):
            yield self._made(clip, kind, REANIMATED, clip.samples, crops)

    def _lips(self, clip: Clip, other: Clip | None) -> Iterator[tuple[str, np.ndarray]]:
        rng, frames = self._rng, clip.frames
        at = int(rng.integers(0, frames))
        yield "lips frozen", pasted(clip.crops, clip.crops[np.full(frames, at)])
        period = int(rng.integers(14, 24))
        begin = int(rng.integers(0, frames - period))
        yield "lips looped", pasted(clip.crops, clip.crops[begin + np.arange(frames) % period])
        if other is not None:
            taken = other.crops[np.minimum(np.arange(frames), other.frames - 1)]
            yield "lips of another take", pasted(clip.crops, taken)
        walk = gaussian_filter1d(rng.standard_normal(frames), 6)
        walk *= 3.0 / max(walk.std(), 1e-6)
        moved = np.clip(np.round(np.arange(frames) + walk), 0, frames - 1).astype(int)
        yield "lips retimed", pasted(clip.crops, clip.crops[moved])
        yield "lips by loudness", pasted(clip.crops, clip.crops[_by_loudness(clip)])

    def _made(
        self,
        clip: Clip,
        kind: str,
        label: str,
        samples: np.ndarray,
        crops: np.ndarray | None = None,
    ) -> Made:
        face = self._face(clip) if crops is None else self._encoded(crops)
        mouth = mouth_series(clip.crops if crops is None else crops)
        audio = encode_audio(self._model, samples)
        return Made(
            kind, label, clip.person, clip.name, series(self._model, face, audio, mouth, samples)
        )

    def _face(self, clip: Clip) -> FaceEmbeddings:
        if clip.name not in self._seen:
            self._seen = {clip.name: self._encoded(clip.crops)}
        return self._seen[clip.name]

    def _encoded(self, crops: np.ndarray) -> FaceEmbeddings:
        stored: StoredCrops = _Stored()
        return encode_crops(self._model, crops, stored)  # type: ignore[arg-type]

    def _other(self, clip: Clip, fits: Callable[[Clip], bool]) -> Clip | None:
        found = [c for c in self._clips if c.name != clip.name and fits(c)]
        return found[int(self._rng.integers(len(found)))] if found else None


def series(
    model: LoadedModel,
    face: FaceEmbeddings,
    audio: AudioEmbeddings,
    mouth: MouthSeries,
    samples: np.ndarray,
) -> FaceSeries:
    """All that evidence is read from, as ``detect`` has it."""
    loudness = Loudness()
    loudness.add(samples)
    return FaceSeries(
        score_volume(model, face, audio, max_offset=DEFAULT_MAX_OFFSET),
        mouth,
        speech_probability(samples, face.frames),
        loudness.levels(face.frames),
    )


def pasted(crops: np.ndarray, lips: np.ndarray) -> np.ndarray:
    """The lips of other crops in these, with a soft edge, and as bright in the mean: uint8 ``[T, S, S]``."""
    side = crops.shape[1]
    along = (np.arange(side) + 0.5) / side - 0.5
    inside = (along[None] / _MASK[0]) ** 2 + (along[:, None] / _MASK[1]) ** 2 <= 1
    weight = gaussian_filter(inside.astype(np.float32), 2.5)
    own, other = crops.astype(np.float32), lips.astype(np.float32)
    edge = (weight > 0.2) & (weight < 0.8)
    other = other + (own[:, edge].mean(1) - other[:, edge].mean(1))[:, None, None]
    return np.clip(own + weight * (other - own), 0, 255).astype(np.uint8)


def stretched(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same words read anew, about: three parts, each faster or slower by 8 to 25 %."""
    cuts = np.sort(rng.uniform(0.25, 0.75, 2)) * samples.size
    parts = np.split(samples, cuts.astype(int))
    tempos = 1 + rng.uniform(0.08, 0.25, len(parts)) * rng.choice([-1, 1], len(parts))
    whole = np.concatenate([_at_tempo(p, float(t)) for p, t in zip(parts, tempos)])
    return np.pad(whole, (0, max(samples.size - whole.size, 0)))[: samples.size]


def _at_tempo(samples: np.ndarray, tempo: float) -> np.ndarray:
    """FFmpeg's ``atempo``: another length, the same pitch."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=AUDIO_HZ, format="s16", layout="mono")
    sink = graph.add("abuffersink")
    graph.link_nodes(source, graph.add("atempo", f"{tempo:.4f}"), sink).configure()
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate = AUDIO_HZ
    graph.push(frame)
    graph.push(None)
    found = []
    while True:
        try:
            part = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return np.concatenate([*found, np.zeros(0, np.int16)])
        found.append(part.to_ndarray().reshape(-1))


def _by_loudness(clip: Clip) -> np.ndarray:
    """For each frame the one whose mouth is as open as the audio is loud, by rank: lips driven by level
    alone."""
    loudness = Loudness()
    loudness.add(clip.samples)
    level = gaussian_filter1d(loudness.levels(clip.frames).reshape(-1, STEPS).mean(1), 1.0)
    by_opening = np.argsort(mouth_series(clip.crops).opening)
    chosen = by_opening[np.argsort(np.argsort(level))]
    return chosen


def _silent_face(clip: Clip) -> np.ndarray | None:
    """As many frames of a closed mouth: the longest pause of the clip, to and fro; None without a pause."""
    quiet = speech_probability(clip.samples, clip.frames) < 0.2
    edges = np.flatnonzero(np.diff(quiet.astype(np.int8), prepend=0, append=0))
    start, stop = max(zip(edges[::2], edges[1::2]), key=lambda r: r[1] - r[0], default=(0, 0))
    start, stop = start + (2 if start else 0), stop - (2 if stop < clip.frames else 0)
    if stop - start < _LEAST_PAUSE:
        return None
    there_and_back = np.r_[np.arange(start, stop), np.arange(stop - 2, start, -1)]
    return clip.crops[np.resize(there_and_back, clip.frames)]


def _moved(samples: np.ndarray, frames: int) -> np.ndarray:
    """Audio that comes so many frames earlier, with silence where there is none."""
    by, out = frames * SAMPLES_PER_FRAME, np.zeros_like(samples)
    if by >= 0:
        out[: samples.size - by] = samples[by:]
    else:
        out[-by:] = samples[:by]
    return out


def _fitted(other: Clip, clip: Clip) -> np.ndarray:
    """The audio of another clip, as long as this one: cut, or once again from its begin."""
    repeats = -(-clip.samples.size // other.samples.size)
    return np.tile(other.samples, repeats)[: clip.samples.size]
