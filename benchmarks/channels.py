"""Multi-channel audio: what ``detect --channels`` makes of spaced, inverted and noisy channels in real rooms.

    python benchmarks/channels.py [--corpus DIR] [--clips 8] [--docs] [--json FILE]

Clips of people whom the default network was not trained on meet recorded impulse responses: each channel
hears the same person from another place. With ``--docs`` it writes its section of docs/channels.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import fftconvolve
from tables import Table, published

from synctool.errors import MissingError
from synctool.features.channel_mix import mixed, places_of
from synctool.measure.embeddings import FaceEmbeddings
from synctool.measure.encode import encode
from synctool.measure.encode_clip import encode_audio, is_silent
from synctool.measure.volumes import score_face
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.types import AUDIO_HZ, DEFAULT_MAX_OFFSET, FRAME_MS
from videos import ROOT, arguments, shared

SCRIPT = "benchmarks/channels.py"
PAGE = ROOT / "docs" / "channels.md"
ROOMS = (
    "openair_s1r1_liveroom_ir_1",
    "reverbjs_domesticlivingroom_l",
    "openair_air_museum_bformat_s1r1_1",
)
_LEAST_FRAMES = 60

Make = Callable[
    [np.ndarray, np.random.Generator, list[np.ndarray]], tuple[list[np.ndarray], list[float]]
]


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write the page and the figures."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=shared("corpus"))
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--docs", action="store_true", help="write the section of docs/channels.md")
    given = parser.parse_args(words)
    return published(given, lambda: measured(given), table_of, page=PAGE, script=SCRIPT)


def measured(given) -> list[dict]:
    """Every clip in every case, as a plain mix and as the aligned one."""
    model = load_model(given.backbone, weights=given.weights, device="cpu")
    paths = sorted(given.corpus.glob("grid/s4/*.mp4"))[: given.clips // 2]
    paths += sorted(given.corpus.glob("grid/s30/*.mp4"))[: given.clips - len(paths)]
    rooms = [_response(given.corpus / "background" / "rir" / f"{name}.flac") for name in ROOMS]
    rng, rows = np.random.default_rng(0), []
    for path in paths:
        encoded = encode(path, [model], max_faces=1, keep_samples=True)
        face = max(encoded.models[0].faces, key=lambda f: f.frames, default=None)
        if face is None or face.frames < _LEAST_FRAMES:
            continue
        own, _ = _offset(model, face, encoded.samples)
        for case, make in CASES.items():
            channels, delays = make(encoded.samples.astype(np.float64), rng, rooms)
            rows.append(
                {"clip": path.name, "case": case, **_row(model, face, channels, delays, own)}
            )
    if not rows:
        raise MissingError("no clips of talking faces", remedy="Give --corpus.")
    return rows


def _row(
    model: LoadedModel,
    face: FaceEmbeddings,
    channels: list[np.ndarray],
    delays: list[float],
    own: float,
) -> dict:
    heard = [np.clip(np.round(x), -32768, 32767).astype(np.int16) for x in channels]
    places = places_of(heard, 0)
    known = [p.delay_ms for p in places]
    plain = np.mean(heard, 0).astype(np.int16)
    row: dict = {
        "delay_error_ms": [
            abs(found - true) for found, true in zip(known[1:], delays[1:]) if found is not None
        ],
        "channels": len(channels) - 1,
    }
    for name, samples in (("plain", plain), ("aligned", mixed(heard, places))):
        if is_silent(samples):
            row[name] = {"error_ms": float("nan"), "confidence": 0.0}
            continue
        offset, confidence = _offset(model, face, samples)
        row[name] = {"error_ms": abs(offset - own) * FRAME_MS, "confidence": confidence}
    return row


def _offset(model: LoadedModel, face: FaceEmbeddings, samples: np.ndarray) -> tuple[float, float]:
    scored = score_face(model, face, encode_audio(model, samples), max_offset=DEFAULT_MAX_OFFSET)
    if scored.estimate is None:
        return 0.0, 0.0
    return scored.estimate.offset_frames, scored.certainty.confidence


def _response(path: Path) -> np.ndarray:
    """An impulse response from its direct path on, the energy of which is one."""
    if not path.is_file():
        raise MissingError(f"there is no impulse response {path}", remedy="Give --corpus.")
    samples, _ = soundfile.read(path)
    samples = samples if samples.ndim == 1 else samples[:, 0]
    direct = int(np.abs(samples).argmax())
    return samples[direct:] / np.sqrt((samples[direct:] ** 2).sum())


def _far(own: np.ndarray, metres: float, room: np.ndarray) -> tuple[np.ndarray, float]:
    """A microphone further away by so many metres in a room: half as loud, later."""
    delay = round(metres / 343 * AUDIO_HZ)
    heard = 0.5 * fftconvolve(own, room)[: own.size]
    return np.r_[np.zeros(delay), heard][: own.size], 1000 * delay / AUDIO_HZ


def _spaced(own, rng, rooms):
    far, late = zip(*(_far(own, float(rng.uniform(1, 8)), room) for room in rooms))
    return [own, *far], [0.0, *late]


def _inverted(own, rng, rooms):
    return [own, -own], [0.0, 0.0]


def _one_inverted_and_late(own, rng, rooms):
    far, late = _far(own, 0.5, rooms[0])
    return [own, -2 * far], [0.0, late]


def _noisy(own, rng, rooms):
    loud = np.sqrt(np.mean(own**2))
    return [own, 6 * loud * rng.standard_normal(own.size)], [0.0, 0.0]


CASES: dict[str, Make] = {
    "four microphones, 0 to 8 m, three rooms": _spaced,
    "stereo, one side inverted": _inverted,
    "stereo, one side inverted and 0.5 m further": _one_inverted_and_late,
    "one channel noise, 16 dB louder": _noisy,
}


def table_of(rows: Sequence[dict]) -> Table:
    """A row for each case."""
    clips = len({row["clip"] for row in rows})
    columns = ["channels", "plain mix: error, ms", "confidence", "aligned: error, ms", "confidence"]
    table = Table(
        "The mixes beside the first channel alone",
        [*columns, "delay: error, ms", "found"],
        note=(
            f"Medians over {clips} clips of two people (GRID s4, s30); the error of an offset is its "
            "distance from that of the clean first channel. The delay is that of the other channels against "
            "their true one, *found* the share that got one."
        ),
    )
    for case in CASES:
        own = [row for row in rows if row["case"] == case]
        delays = [d for row in own for d in row["delay_error_ms"]]
        found = len(delays) / max(sum(row["channels"] for row in own), 1)
        cells = [
            f"{np.median([row[mix][name] for row in own]):.{digits}f}"
            for mix in ("plain", "aligned")
            for name, digits in (("error_ms", 0), ("confidence", 2))
        ]
        delay = f"{np.median(delays):.2f}" if delays else "-"
        cells = [cell.replace("nan", "silent") for cell in cells]
        table.rows.append([case, *cells, delay, f"{found:.2f}"])
    return table


if __name__ == "__main__":
    sys.exit(main())
