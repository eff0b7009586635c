"""Directions of voices beside places of faces: what ``detect --channels`` says of rendered stereo audio.

    python benchmarks/channel_directions.py [--corpus DIR] [--pairs 16] [--tuned] [--true-turns] [--docs]
        [--json FILE]

Scenes of two people for two turns (see benchmarks/speakers.py), or of one of them alone, at random places in
the image. Their voices are rendered from there: panned by level, as by two omnidirectional microphones 17 cm
or 50 cm apart, or as by two cardioids (ORTF); the image is 60 degrees wide; dry, or with the left and right
reverberation of recorded rooms and noise. ``--true-turns`` gives who speaks when and measures the directions
alone, in seconds. With ``--docs`` it writes its section of docs/channels.md.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from rich.console import Console
from scipy.signal import fftconvolve
from speakers import Clip, Scene, clips, pairs, scenes
from tables import Table, published, share

from synctool.errors import MissingError
from synctool.evaluation.bootstrap import mean_interval
from synctool.features.direction import StereoPair
from synctool.features.voice_activity import SPEECH, speech_probability
from synctool.measure.analyze import analyze
from synctool.measure.channels import measure_channels
from synctool.measure.direction import LEAST_FRAMES, direction_of
from synctool.measure.embeddings import EncodedVideo, FaceEmbeddings
from synctool.measure.encode_clip import encode_audio
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.scoring.direction import Compared, Moment, compare_directions
from synctool.types import AUDIO_HZ, SAMPLES_PER_FRAME, VIDEO_FPS, AudioDirection, Source
from videos import ROOT, arguments, read_video, shared

SCRIPT = "benchmarks/channel_directions.py"
PAGE = ROOT / "docs" / "channels.md"
ROOMS = ("reverbjs_basement", "reverbjs_terrystypingroom", "reverbjs_standrewschurch")
_DIRECT_S = 0.0025
_HALF_IMAGE_DEG = 30.0
_WIDTH_PX = 1920
_MOST_FRAMES = 150
_LEAST_SPEECH_FRAMES = 60
EMPTY = EncodedVideo(Source(0, 25, 0, 0, _WIDTH_PX, 1080, AUDIO_HZ), 0, (), np.zeros(0, np.int16))

Render = Callable[[np.ndarray, float], tuple[np.ndarray, np.ndarray]]


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the page and the figures."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=shared("corpus"))
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument(
        "--tuned", action="store_true", help="the people the constants were chosen on"
    )
    parser.add_argument("--true-turns", action="store_true", help="measure directions alone")
    parser.add_argument("--docs", action="store_true", help="write the section of docs/channels.md")
    given = parser.parse_args(words)
    return published(given, lambda: measured(given), table_of, page=PAGE, script=SCRIPT)


def measured(given) -> list[dict]:
    """Every scene in every case."""
    notes, rng = Console(stderr=True), np.random.default_rng(1)
    rooms = [room(given.corpus / "background" / "rir" / name) for name in ROOMS]
    if given.true_turns:
        model, made = None, spoken_scenes(given.corpus, given.pairs, rng)
    else:
        model = load_model(given.backbone, weights=given.weights, device="cpu")
        found = clips(given.corpus, model, notes)
        chosen = pairs(found, rng, wild=given.pairs, grid=0, tuned=given.tuned)
        made = scenes(chosen, model, notes, talks=(False,))
    rows = []
    for scene in made:
        for one in (False, True):
            places = _places(rng, one=one)
            for case, render in RENDERINGS.items():
                for wet in (False, True):
                    tails = rooms[rng.integers(len(rooms))] if wet else None
                    for truth in ("consistent", "mirrored", "one place", "the middle"):
                        if one and truth == "one place":
                            continue
                        stereo = _stereo(scene, places, truth, render, tails, rng)
                        if model is None:
                            said = _by_true_turns(scene, places, stereo)
                        else:
                            said = _direction(model, scene, places, stereo)
                        rows.append(
                            {
                                "true_turns": model is None,
                                "person": scene.people[0].person,
                                "case": case,
                                "wet": wet,
                                "one": one,
                                "truth": truth,
                                "verdict": said.verdict,
                                "agreement": said.agreement,
                                "reason": said.reason,
                            }
                        )
    if not rows:
        raise MissingError("no clips of talking faces", remedy="Give --corpus.")
    return rows


def spoken_scenes(corpus: Path, count: int, rng: np.random.Generator) -> list[Scene]:
    """Scenes of which the audio alone is read, of people in the wild."""
    with (corpus / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["split"] == "dev" and "grid" not in r["path"]]
    by_person = {row["speaker"]: row["path"] for row in rows}
    people = []
    for person in sorted(by_person)[: 2 * count]:
        _, samples = read_video(corpus / by_person[person])
        frames = min(samples.size // SAMPLES_PER_FRAME, _MOST_FRAMES)
        samples = samples[: frames * SAMPLES_PER_FRAME]
        speech = speech_probability(samples, frames) >= SPEECH
        if speech.sum() >= _LEAST_SPEECH_FRAMES:
            people.append(Clip(person, person, "wild", np.zeros(0), samples, speech))
    made = []
    for _ in range(count):
        left, right = (people[i] for i in rng.choice(len(people), 2, replace=False))
        frames = min(len(left.speech), len(right.speech))
        both = left.part(frames), right.part(frames)
        made.append(Scene((*both, both[0]), True, frames, EMPTY))
    return made


def _by_true_turns(scene: Scene, places: Sequence[float], stereo: list[np.ndarray]) -> Compared:
    """The verdict where everybody's speech is known."""
    speech = np.concatenate([one.speech for one in scene.people[: len(places)]])
    speech = np.pad(speech, (0, scene.turns * scene.frames - len(speech)))
    pair, moments = StereoPair(*stereo, ~speech), []
    for turn, place in enumerate(places):
        for start in range(turn * scene.frames, (turn + 1) * scene.frames, VIDEO_FPS):
            own = np.arange(start, min(start + VIDEO_FPS, (turn + 1) * scene.frames))
            own = own[speech[own]]
            if len(own) >= LEAST_FRAMES and (heard := pair.heard(own)) is not None:
                moments.append(Moment(place, heard.side, len(own) / VIDEO_FPS))
    return compare_directions(moments)


def room(stem: Path) -> list[np.ndarray]:
    """The reverberation of a recorded room, left and right, beside a direct path of energy 1."""
    tails = []
    for side in "lr":
        path = stem.with_name(f"{stem.name}_{side}.flac")
        if not path.is_file():
            raise MissingError(f"there is no impulse response {path}", remedy="Give --corpus.")
        samples, _ = soundfile.read(path)
        after = int(np.abs(samples).argmax()) + round(_DIRECT_S * AUDIO_HZ)
        direct = np.sqrt((samples[:after] ** 2).sum())
        tails.append(np.r_[np.zeros(round(_DIRECT_S * AUDIO_HZ)), samples[after:]] / direct)
    return tails


def panned(voice: np.ndarray, place: float) -> tuple[np.ndarray, np.ndarray]:
    """By level, with constant power."""
    angle = (place + 1) * np.pi / 4
    return voice * np.cos(angle), voice * np.sin(angle)


def spaced(metres: float) -> Render:
    """By the delay of two omnidirectional microphones."""

    def render(voice: np.ndarray, place: float) -> tuple[np.ndarray, np.ndarray]:
        later_s = metres * np.sin(np.radians(_HALF_IMAGE_DEG * place)) / 343
        return _later(voice, later_s / 2), _later(voice, -later_s / 2)

    return render


def ortf(voice: np.ndarray, place: float) -> tuple[np.ndarray, np.ndarray]:
    """By two cardioids 17 cm apart, turned 55 degrees outwards."""
    left, right = spaced(0.17)(voice, place)
    at = np.radians(_HALF_IMAGE_DEG * place)
    gain = [0.5 + 0.5 * np.cos(at - np.radians(turned)) for turned in (-55, 55)]
    return gain[0] * left, gain[1] * right


RENDERINGS: dict[str, Render] = {
    "panned by level": panned,
    "two microphones 17 cm apart": spaced(0.17),
    "two microphones 50 cm apart": spaced(0.5),
    "two cardioids (ORTF)": ortf,
}


def _later(x: np.ndarray, seconds: float) -> np.ndarray:
    """The same, later by any part of a sample."""
    spectrum = np.fft.rfft(x, x.size + 256)
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(x.size + 256, 1 / AUDIO_HZ) * seconds)
    return np.fft.irfft(spectrum * turn)[: x.size]


def _places(rng: np.random.Generator, *, one: bool) -> list[float]:
    if one:
        return [float(rng.uniform(0.2, 0.8) * rng.choice([-1, 1]))]
    left = float(rng.uniform(-0.8, 0.3))
    return [left, float(rng.uniform(left + 0.4, 0.8))]


def _stereo(
    scene: Scene,
    places: Sequence[float],
    truth: str,
    render: Render,
    tails: Sequence[np.ndarray] | None,
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """Both channels, int16."""
    from_place = {
        "consistent": lambda p: p,
        "mirrored": lambda p: -p,
        "one place": lambda p: 0.7,
        "the middle": lambda p: 0.0,
    }[truth]
    voices = [person.samples.astype(np.float64) for person in scene.people[: len(places)]]
    voices = [v / max(np.sqrt((v**2).mean()), 1.0) for v in voices]
    sides: list[list[np.ndarray]] = [[], []]
    for voice, place in zip(voices, places):
        for own, x in zip(sides, render(voice, from_place(place))):
            own.append(x)
    silence = np.zeros((scene.turns - len(voices)) * len(voices[0]))
    dry = np.concatenate([*voices, silence])
    both = [np.concatenate([*own, silence]) for own in sides]
    if tails is not None:
        both = [x + 0.7 * fftconvolve(dry, tail)[: x.size] for x, tail in zip(both, tails)]
        both = [x + 0.1 * rng.standard_normal(x.size) for x in both]
    most = max(float(np.abs(x).max()) for x in both)
    return [np.round(x * 20_000 / most).astype(np.int16) for x in both]


def _direction(
    model: LoadedModel, scene: Scene, places: Sequence[float], stereo: list[np.ndarray]
) -> AudioDirection:
    """As ``detect --channels mix`` measures it."""
    encoded = scene.encoded
    (made,) = encoded.models
    faces = sorted(made.faces, key=lambda face: float(face.boxes[0][0]))[: len(places)]
    moved = tuple(_at(face, place) for face, place in zip(faces, places))
    encoded: EncodedVideo = replace(
        encoded,
        source=replace(encoded.source, width_px=_WIDTH_PX),
        channels=tuple(stereo),
        channel_names=("FL", "FR"),
    )
    mix = measure_channels(model, encoded, moved, ("FL", "FR"), max_offset=15, each=False)
    speech = speech_probability(mix.samples, encoded.frames)
    audio = encode_audio(model, mix.samples)
    findings = analyze(model, moved, audio, frames=encoded.frames, max_offset=15, speech=speech)
    return direction_of(
        replace(encoded, speech=speech), findings, moved, reference=("FL", "FR")[mix.reference]
    )


def _at(face: FaceEmbeddings, place: float) -> FaceEmbeddings:
    """The same face elsewhere in a wide image."""
    boxes = []
    for left, top, right, bottom in face.boxes:
        middle, half = (place + 1) * _WIDTH_PX / 2, (right - left) / 2
        boxes.append(np.array([middle - half, top, middle + half, bottom]))
    return replace(face, boxes=tuple(boxes))


_HOW = {
    True: "; who speaks when, and where, is given, so that these are the errors of the directions alone.",
    False: ", whom the default network was not trained on.",
}
EXPECTED = {
    "consistent": "consistent",
    "mirrored": "mirrored",
    "one place": "not consistent",
    "the middle": "cannot tell",
}


def table_of(rows: Sequence[dict]) -> Table:
    """A row for each case."""
    people = {row["person"] for row in rows}
    table = Table(
        "Directions of voices beside places of faces",
        [
            "voices",
            "consistent",
            "mirrored",
            "cannot tell",
            "the reverse",
            "one place",
            "the middle",
        ],
        note=(
            f"By `python {SCRIPT} {' '.join(sys.argv[1:])}`: {len(rows)} renderings of scenes of "
            f"{len(people)} "
            "people in the wild"
            + _HOW[rows[0]["true_turns"]]
            + " Share of them whose verdict is right: `consistent` where voices "
            "come from their faces; `mirrored` where channels are swapped; `not consistent` where both "
            "voices come from *one place* at the side; `cannot tell` where they come from *the middle*. "
            "*Cannot tell* and *the reverse*: share of the consistent and mirrored ones of which nothing is "
            "told, and that are called the other. Rooms: reverberation of recorded ones (RT60 0.5 to 2.2 s), "
            "3 dB below its own, and noise of -20 dB. In brackets: 95 % intervals by bootstrap over people."
        ),
    )
    for case in RENDERINGS:
        for wet in (False, True):
            for one in (False, True):
                own = [r for r in rows if (r["case"], r["wet"], r["one"]) == (case, wet, one)]
                name = f"{case}, {'room' if wet else 'dry'}, {'one face' if one else 'two faces'}"
                table.rows.append([name, *_cells(own)])
    return table


def _cells(rows: Sequence[dict]) -> list[str]:
    def interval(truths: Sequence[str], right: Callable[[dict], bool]) -> str:
        own = [row for row in rows if row["truth"] in truths]
        if not own:
            return ""
        return share(mean_interval([float(right(r)) for r in own], [r["person"] for r in own]))

    def right(row: dict) -> bool:
        return row["verdict"] == EXPECTED[row["truth"]]

    def reverse(row: dict) -> bool:
        return {row["verdict"], row["truth"]} == {"consistent", "mirrored"}

    sided = ("consistent", "mirrored")
    return [
        interval(["consistent"], right),
        interval(["mirrored"], right),
        interval(sided, lambda r: r["verdict"] == "cannot tell"),
        interval(sided, reverse),
        interval(["one place"], right),
        interval(["the middle"], right),
    ]


if __name__ == "__main__":
    sys.exit(main())
