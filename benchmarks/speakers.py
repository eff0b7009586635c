"""Who speaks when: two faces side by side, of people that no network was trained on.

Each video shows two people for two turns. In the first turn the audio is the left person's, in the second
the right person's, and all of it is moved by a known number of frames. The one who has no turn either listens
(a quiet moment of the clip, to and fro), and a third turn has a voice of somebody out of view; or goes on
talking. The voice of the one without the turn is mixed in at -12, -6 or 0 dB, or not at all. Clips are cut
out around the face, and their own constant offset is taken out first, as ``detect`` reads it of each alone.
Which frames are speech is told by the voice-activity network from each person's own audio, unmixed.

    python benchmarks/speakers.py [--corpus DIR] [--wild 24] [--grid 12] [--docs] [--json FILE]

With ``--docs`` it writes its section of docs/speakers.md. The constants of scoring/speaking.py were chosen on
every second person of the wild recordings (``--tuned``); the figures are of the others, and of GRID.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from scipy.special import expit
from tables import Table, around_section, share, write_section

from synctool.errors import SyncToolError
from synctool.evaluation.bootstrap import (
    Interval,
    interval_of,
    mean_interval,
    numbered,
    ratio_of,
    units_of,
)
from synctool.features.voice_activity import SPEECH, speech_probability
from synctool.measure.analyze import Findings, analyze
from synctool.measure.embeddings import EncodedVideo
from synctool.measure.encode import encode
from synctool.measure.encode_clip import encode_audio
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.types import SAMPLES_PER_FRAME
from videos import ROOT, arguments, read_video, shared, write_video

SCRIPT = "benchmarks/speakers.py"
PAGE = ROOT / "docs" / "speakers.md"
PANEL_PX = 288
_AROUND = 2.2
_LEAST_FRAMES, _MOST_FRAMES = 60, 150
_SURE = 0.7
_QUIET_FRAMES = 8
MOST_MOVED = 10
LEVELS_DB = (None, -12.0, -6.0, 0.0)
_UNNAMED, _OFF = -2, -1


@dataclass(frozen=True)
class Clip:
    """One talking face.

    Attributes:
        name: Its file.
        person: Who it is.
        kind: ``GRID`` or ``wild``.
        panel: uint8 ``[T, 288, 288]``, the face and what is around it.
        samples: int16 ``[640 T]``, without its own constant offset.
        speech: bool ``[T]``: whether the person speaks.
    """

    name: str
    person: str
    kind: str
    panel: np.ndarray
    samples: np.ndarray
    speech: np.ndarray

    def part(self, frames: int) -> Clip:
        """Its first frames."""
        samples = self.samples[: frames * SAMPLES_PER_FRAME]
        return replace(
            self, panel=self.panel[:frames], samples=samples, speech=self.speech[:frames]
        )


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the page and the figures."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=shared("corpus"), help="where it is")
    parser.add_argument("--wild", type=int, default=24, help="pairs of people in the wild")
    parser.add_argument("--grid", type=int, default=12, help="pairs of GRID")
    parser.add_argument("--tuned", action="store_true", help="the people of the constants")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--docs", action="store_true", help="write the section of docs/speakers.md")
    given = parser.parse_args(words)
    show, notes = Console(width=180), Console(stderr=True)
    try:
        if given.docs:
            around_section(PAGE, script=SCRIPT)  # missing markers are said before the work
        model = load_model(given.backbone, weights=given.weights, device="cpu")
        rng = np.random.default_rng(given.seed)
        found = clips(given.corpus, model, notes)
        chosen = pairs(found, rng, wild=given.wild, grid=given.grid, tuned=given.tuned)
        counted: dict[Condition, Tally] = {}
        for scene in scenes(chosen, model, notes):
            for level_db in LEVELS_DB:
                offset_frames = int(rng.integers(-MOST_MOVED, MOST_MOVED + 1))
                condition = Condition(scene.people[0].kind, scene.talking, level_db)
                into = counted.setdefault(condition, Tally())
                audio = audio_of(scene, level_db, offset_frames)
                audible = scene.talking and level_db is not None
                found_here = measured(scene, model, audio)
                tally(scene, found_here, offset_frames, audible=audible, into=into)
        table = results(counted, model.weights)
        table.show(show)
        if given.json:
            rows = [dict(zip(table.columns, row)) for row in table.rows]
            given.json.write_text(json.dumps(rows, indent=1) + "\n")
        if given.docs:
            write_section(PAGE, table.markdown(), script=SCRIPT)
    except SyncToolError as error:
        notes.print(f"error: {error}", style="red", highlight=False, markup=False)
        return error.exit_code
    return 0


@dataclass(frozen=True)
class Condition:
    """The collection, whether the one without the turn talks, and how loud that voice is."""

    kind: str
    talking: bool
    level_db: float | None

    @property
    def name(self) -> str:
        """In words."""
        heard = "unheard" if self.level_db is None else f"heard at {self.level_db:g} dB"
        if not self.talking:
            voice = "" if self.level_db is None else f"; a voice beside it at {self.level_db:g} dB"
            return f"{self.kind}: the other listens{voice}"
        return f"{self.kind}: the other talks too, {heard}"


def pairs(
    found: Sequence[Clip], rng: np.random.Generator, *, wild: int, grid: int, tuned: bool
) -> list[tuple[Clip, Clip, Clip]]:
    """Left, right and off-screen people.

    Args:
        found: All clips.
        rng: Chooses.
        wild: How many pairs of people in the wild.
        grid: How many of GRID, whose third person is one in the wild.
        tuned: Whether to take the people on whom the constants were chosen.
    """
    by_person: dict[str, list[Clip]] = {}
    for clip in found:
        by_person.setdefault(clip.person, []).append(clip)
    people = {
        kind: sorted(name for name, own in by_person.items() if own[0].kind == kind)
        for kind in ("wild", "GRID")
    }
    strangers = people["wild"][0 if tuned else 1 :: 2]

    def clip_of(name: str) -> Clip:
        return by_person[name][rng.integers(len(by_person[name]))]

    chosen = [rng.choice(strangers, 3, replace=False) for _ in range(wild)]
    chosen += [
        [*rng.choice(people["GRID"], 2, replace=False), rng.choice(strangers)] for _ in range(grid)
    ]
    return [(clip_of(left), clip_of(right), clip_of(third)) for left, right, third in chosen]


def results(counted: Mapping[Condition, Tally], weights: str) -> Table:
    """The table of all conditions; ``weights`` are those that it was measured with."""
    rows = []
    for condition, found in sorted(counted.items(), key=lambda item: _order(item[0])):
        offset = mean_interval([float(x) for x in found.offset_right], found.scene_person)
        overlap = condition.talking and condition.level_db is not None
        rows.append(
            [
                condition.name,
                share(offset),
                share(accuracy(found.named)),
                share(accuracy(found.mentioned)) if overlap else "",
                share(average_precision(found.faces)),
                share(accuracy(found.off_screen)) if found.off_screen else "",
            ]
        )
    people = {kind: set() for kind in ("GRID", "wild")}
    for condition, found in counted.items():
        people[condition.kind] |= {person for person, _, _ in found.named}
    scenes = {c.kind: len(t.answered) for c, t in counted.items()}
    return Table(
        "Who speaks, of two people side by side",
        ["", "offset right", "speaker right", "named at all", "mAP", "off-screen voice told"],
        rows,
        f"`{weights}`, {scenes.get('wild', 0)} pairs of {len(people['wild'])} people in the wild, "
        f"{scenes.get('GRID', 0)} pairs of {len(people['GRID'])} people of GRID, in each row; "
        "none was trained on, and the constants were chosen on others (GRID's not at all). `offset "
        "right`: share of the videos whose offset is answered and within a frame of the truth. "
        "`speaker right`: share of the speech frames of the one who has the turn in which that face, "
        "and no other, is named foremost. `named at all`: the same with the turns beside another. "
        "`mAP`: average precision over the frames of all faces, labelled as in AVA-ActiveSpeaker "
        "(speaks, and is heard). `off-screen voice told`: share of the speech frames of a third "
        "voice, while both listen, that are called an off-screen voice. In brackets: 95% intervals by "
        "bootstrap over people; of GRID, with two people, over clips, which says nothing of other "
        "people.",
    )


def _order(condition: Condition) -> tuple[bool, bool, float]:
    level = -np.inf if condition.level_db is None else condition.level_db
    return condition.kind == "GRID", condition.talking, level


def clips(corpus: Path, model: LoadedModel, notes: Console) -> list[Clip]:
    """The clips of people who were not trained on, in which one face is seen and its offset is clear."""
    with (corpus / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "dev"]
    found = []
    for number, row in enumerate(rows):
        if number % 20 == 0:
            notes.print(f"{number} of {len(rows)} clips", style="dim", highlight=False)
        clip = _clip(corpus / row["path"], row["speaker"], model)
        if clip is not None:
            found.append(clip)
    return found


def _clip(path: Path, person: str, model: LoadedModel) -> Clip | None:
    encoded = encode(path, [model], max_faces=2)
    (made,) = encoded.models
    if len(made.faces) != 1 or encoded.frames < _LEAST_FRAMES:
        return None
    (face,) = made.faces
    findings = analyze(model, made.faces, made.audio, frames=encoded.frames, max_offset=15)
    sure = findings.confidence >= _SURE and findings.decision.verdict != "inconclusive"
    if not sure or face.first_frame or face.frames < 0.98 * encoded.frames:
        return None
    assert findings.offset_frames is not None
    images, samples = read_video(path)
    later = round(findings.offset_frames * SAMPLES_PER_FRAME)
    samples = np.pad(samples, (max(later, 0), 0))[max(-later, 0) :]
    frames = min(len(images), face.frames, samples.size // SAMPLES_PER_FRAME, _MOST_FRAMES)
    if frames < _LEAST_FRAMES:
        return None
    samples = samples[: frames * SAMPLES_PER_FRAME]
    speech = speech_probability(samples, frames) >= SPEECH
    kind = "GRID" if "grid" in path.parts else "wild"
    panel = _panel(images[:frames], np.median(np.stack(face.boxes), 0))
    return Clip(path.name, person, kind, panel, samples, speech)


def _panel(images: Sequence[np.ndarray], box: np.ndarray) -> np.ndarray:
    """The face with its surroundings: uint8 ``[T, 288, 288]``."""
    left, top, right, bottom = box
    half = _AROUND * (bottom - top) / 2
    x, y = (left + right) / 2 - half, (top + bottom) / 2 - half
    scale = PANEL_PX / (2 * half)
    matrix = np.array([[scale, 0, -scale * x], [0, scale, -scale * y]])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    size = (PANEL_PX, PANEL_PX)
    return np.stack(
        [
            cv2.warpAffine(image, matrix, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
            for image in images
        ]
    )


def quiet(clip: Clip, frames: int) -> np.ndarray:
    """The person listening: the quietest moment of the clip, to and fro."""
    blocks = clip.samples.reshape(-1, SAMPLES_PER_FRAME).astype(float)
    power = np.convolve((blocks**2).mean(1), np.ones(_QUIET_FRAMES), "valid")
    start = int(power.argmin())
    there = np.arange(start, start + _QUIET_FRAMES)
    order = np.concatenate([there, there[-2:0:-1]])
    return clip.panel[np.resize(order, frames)]


@dataclass(frozen=True)
class Scene:
    """Two people side by side, encoded, and what is known about them.

    Attributes:
        people: Left, right, and a third who is only heard.
        talking: Whether the one who has no turn goes on talking.
        frames: Length of a turn.
        encoded: The video; its audio is silence.
    """

    people: tuple[Clip, Clip, Clip]
    talking: bool
    frames: int
    encoded: EncodedVideo

    @property
    def turns(self) -> int:
        """Left, right, and in scenes with listeners the voice off-screen."""
        return 2 if self.talking else 3


def scenes(
    pairs: Sequence[tuple[Clip, Clip, Clip]],
    model: LoadedModel,
    notes: Console,
    *,
    talks: Sequence[bool] = (False, True),
) -> list[Scene]:
    """Make and encode the videos of all pairs: with a listener, and with both talking all the time."""
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for number, clips in enumerate(pairs):
            if number % 5 == 0:
                notes.print(f"{number} of {len(pairs)} pairs", style="dim", highlight=False)
            frames = min(len(clip.panel) for clip in clips)
            left, right, third = (clip.part(frames) for clip in clips)
            for talking in talks:
                if talking:
                    sides = [np.concatenate([clip.panel] * 2) for clip in (left, right)]
                else:
                    rest = [quiet(clip, frames) for clip in (left, right)]
                    sides = [
                        np.concatenate([left.panel, rest[0], rest[0]]),
                        np.concatenate([rest[1], right.panel, rest[1]]),
                    ]
                path = Path(folder) / "scene.mkv"
                both = np.concatenate(sides, axis=2)
                write_video(path, both, np.zeros(len(both) * SAMPLES_PER_FRAME, np.int16))
                encoded = encode(path, [model], keep_samples=True)
                made.append(Scene((left, right, third), talking, frames, encoded))
    return made


def audio_of(scene: Scene, level_db: float | None, offset_frames: int) -> np.ndarray:
    """The audio of a scene, int16 ``[640 T]``.

    Args:
        scene: The scene.
        level_db: Level of the other's voice beside that of the one who has the turn; None: unheard.
        offset_frames: By how much it is ahead.
    """
    voices = [clip.samples.astype(np.float64) for clip in scene.people]
    voices = [v / max(np.sqrt((v**2).mean()), 1.0) for v in voices]
    gain = 0.0 if level_db is None else 10 ** (level_db / 20)
    parts = [voices[0] + gain * voices[1], voices[1] + gain * voices[0], voices[2]]
    audio = np.concatenate(parts[: scene.turns])
    audio = (audio * 20_000 / np.abs(audio).max()).astype(np.int16)
    moved = offset_frames * SAMPLES_PER_FRAME
    empty = np.zeros(abs(moved), np.int16)
    return np.concatenate([audio[moved:], empty] if moved >= 0 else [empty, audio[:moved]])


def speaking(scene: Scene, offset_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Who speaks at each frame, without the frames whose audio is not in the file.

    Returns:
        Both people whenever they speak, bool ``[2, T]``; those who have the turn, bool ``[3, T]``.
    """
    left, right, third = (clip.speech for clip in scene.people)
    silent = np.zeros(scene.frames, bool)
    turn = np.stack(
        [
            np.concatenate([left, silent, silent]),
            np.concatenate([silent, right, silent]),
            np.concatenate([silent, silent, third]),
        ]
    )[:, : scene.turns * scene.frames]
    every = np.stack([np.concatenate([own] * scene.turns) for own in (left, right)])
    at = np.arange(turn.shape[1]) - offset_frames
    heard = (at >= 0) & (at < turn.shape[1])
    return every & heard, turn & heard


@dataclass
class Tally:
    """What is counted under one condition."""

    offset_right: list[bool] = field(default_factory=list)
    answered: list[bool] = field(default_factory=list)
    scene_person: list[str] = field(default_factory=list)
    named: list[tuple[str, int, int]] = field(default_factory=list)
    mentioned: list[tuple[str, int, int]] = field(default_factory=list)
    off_screen: list[tuple[str, int, int]] = field(default_factory=list)
    faces: list[tuple[str, np.ndarray, np.ndarray]] = field(default_factory=list)


def measured(scene: Scene, model: LoadedModel, audio: np.ndarray) -> Findings:
    """As ``detect`` measures the video with this audio."""
    (made,) = scene.encoded.models
    frames = scene.encoded.frames
    return analyze(
        model,
        made.faces,
        encode_audio(model, audio),
        frames=frames,
        max_offset=15,
        speech=speech_probability(audio, frames),
        look_further=True,
    )


def tally(scene: Scene, found: Findings, offset_frames: int, *, audible: bool, into: Tally) -> None:
    """Compare what was found with what is true.

    Args:
        scene: The scene.
        found: What was found.
        offset_frames: By how much its audio is ahead.
        audible: Whether the one without the turn is heard too.
        into: Counts.
    """
    every, turn = speaking(scene, offset_frames)
    frames = min(turn.shape[1], scene.encoded.frames)
    every, turn = every[:, :frames], turn[:, :frames]
    answered = found.decision.verdict != "inconclusive"
    off = abs((found.offset_frames if answered else np.inf) - offset_frames)
    into.answered.append(answered)
    into.offset_right.append(bool(off <= 1))
    into.scene_person.append(scene.people[0].person)
    sides = {f.number: int((f.box[0] + f.box[2]) / 2 >= PANEL_PX) for f in found.faces}
    named = np.full(frames, _UNNAMED)
    scores, mentioned = np.zeros((2, frames)), np.zeros((2, frames), bool)
    if found.activity is not None:
        for t in found.activity.turns:
            if t.number is not None:
                mentioned[sides[t.number], t.start : t.stop] = True
            if not t.overlapping:
                named[t.start : t.stop] = _OFF if t.number is None else sides[t.number]
        odds = np.nan_to_num(found.activity.log_odds, nan=-np.inf)
        for number, own in zip(found.activity.numbers, odds):
            likely = expit(own[:frames]) * found.activity.speech[:frames]
            scores[sides[number]] = np.maximum(scores[sides[number]], likely)
    for side, clip in enumerate(scene.people[:2]):
        own = turn[side]
        into.named.append((clip.person, int((named == side)[own].sum()), int(own.sum())))
        into.mentioned.append((clip.person, int(mentioned[side][own].sum()), int(own.sum())))
        label = every[side] if audible else own
        into.faces.append((clip.person, scores[side], label))
    if scene.turns == 3:
        own, person = turn[2], scene.people[2].person
        into.off_screen.append((person, int((named == _OFF)[own].sum()), int(own.sum())))


def average_precision(faces: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> Interval:
    """Average precision over the frames of all faces, with its interval by person.

    As AVA-ActiveSpeaker counts it (Roth et al., ICASSP 2020): all frames of all faces in the order of their
    scores, precision averaged over the frames in which the face speaks and is heard.
    """
    scores = np.concatenate([s for _, s, _ in faces])
    labels = np.concatenate([y for _, _, y in faces])
    people = numbered([p for p, s, _ in faces for _ in range(len(s))])
    order = np.argsort(-scores, kind="stable")
    scores, labels, people = scores[order], labels[order], people[order]
    last = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)

    def statistic(weights: np.ndarray) -> np.ndarray:
        hits, total = (weights * labels).cumsum(1)[:, last], weights.cumsum(1)[:, last]
        gained = np.diff(hits, axis=1, prepend=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.nansum(gained * hits / total, axis=1) / hits[:, -1]

    return interval_of(statistic, units_of(people, np.arange(len(people))), share=True)


def accuracy(counts: Sequence[tuple[str, int, int]]) -> Interval:
    """Share of frames, with its interval by person."""
    people, right, of = zip(*counts)
    units = units_of(numbered(people), np.arange(len(people)))
    return ratio_of(np.array(right, float), np.array(of, float), units, share=True)


if __name__ == "__main__":
    sys.exit(main())
