"""The shift test and the pieces test on videos of held-out speakers.

Shift: the audio of a video is moved by a known amount (both streams copied bit for bit); the answer
must move by that amount. It proves sign, timestamps, range and rounding, but not that an answer is
right: a wrong match moves along with the audio.

Pieces: a video has one true offset. It is cut into pieces; the audio of each comes from a place moved
by its own random amount; all answers minus their moves must agree. A spurious match cannot do that.

    python benchmarks/known_offsets.py [--clips FOLDER] [--piece 3] [--json FILE]
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
from literature.segment_agreement import Answer, Piece, agreement

from synctool.comparison.segment_cuts import cuts
from synctool.measure.detect import Detector
from synctool.networks.load import load_model
from synctool.repairing.run import repair
from synctool.types import SAMPLES_PER_FRAME, VIDEO_FPS, DetectResult
from videos import arguments, best_match, read_video, shared, write_video

SHIFTS = (-10, -3, 4, 13)
PUBLISHED = ("example.avi", 3.0)
DELAYED = {"test_offset_5.avi": -5, "test_offset_12.avi": -12}


def best(result: DetectResult) -> float | None:
    """The offset, also where it is the edge of the range or weak (then None)."""
    return result.offset_frames


def shift_test(videos: list[Path], measuring: Detector, wide: Detector, work: Path) -> list[dict]:
    """Every video with its audio moved by every shift."""
    rows = []
    for video in videos:
        still = best(measuring.detect(video))
        for shift in SHIFTS:
            moved = work / f"{video.stem}{shift:+d}.mkv"
            repair(video, moved, -40 * shift)
            expected = None if still is None else still + shift
            chosen = wide if expected is None or abs(expected) > 13.5 else measuring
            answer = best(chosen.detect(moved))
            error = None if None in (answer, expected) else answer - expected
            rows.append(
                {
                    "film": video.name,
                    "offset": still,
                    "shift": shift,
                    "answer": answer,
                    "error": error,
                }
            )
            moved.unlink()
    return rows


def video_pieces(
    videos: list[Path], measuring: Detector, seconds: float, work: Path
) -> list[Piece]:
    """Every video in pieces, each a video of its own whose audio comes from a place moved by its own
    random amount, through the whole of ``detect``."""
    rng = np.random.default_rng(7)
    found = []
    frames = round(seconds * VIDEO_FPS)
    for video in videos:
        images, audio = read_video(video)
        for start, begin, moved in cuts(len(images), frames, audio.size, rng):
            piece = work / "piece.mkv"
            heard = audio[begin : begin + frames * SAMPLES_PER_FRAME]
            write_video(piece, images[start : start + frames], heard)
            result = measuring.detect(piece)
            answer = Answer(best_match(result), result.confidence, result.offset_frames is not None)
            found.append(Piece(video.name, video.name, moved / SAMPLES_PER_FRAME, answer))
    return found


def main() -> None:
    """Run both tests, print the tables, and end with 1 if a video of known offset is wrong."""
    parser = arguments(__doc__)
    parser.add_argument("--clips", type=Path, default=shared("clips"))
    parser.add_argument("--piece", type=float, default=3.0, help="seconds")
    given = parser.parse_args()
    model = load_model(given.backbone, weights=given.weights)
    measuring, wide = Detector(model=model), Detector(model=model, max_offset=30)
    videos = sorted(given.clips.glob("demo*.mp4"))
    known = {name: best(measuring.detect(given.clips / name)) for name in (PUBLISHED[0], *DELAYED)}
    with tempfile.TemporaryDirectory() as work:
        shifts = shift_test(videos, measuring, wide, Path(work))
        pieces = video_pieces(
            [given.clips / PUBLISHED[0], *videos], measuring, given.piece, Path(work)
        )
    print(f"weights: {model.weights}\n\nknown offsets (frames)")
    wrong = 0
    reference = known[PUBLISHED[0]]
    for name, answer in known.items():
        expected = PUBLISHED[1] if name == PUBLISHED[0] else (reference or 0) + DELAYED[name]
        tolerance = 1.0 if name == PUBLISHED[0] else 0.5
        fine = answer is not None and abs(answer - expected) <= tolerance
        wrong += not fine
        told = f"expected {expected:+.2f} within {tolerance}"
        print(f"  {name:22} {_n(answer)}  {told}  {'ok' if fine else 'WRONG'}")
    print("\nshift test")
    for row in shifts:
        fine = row["error"] is not None and abs(row["error"]) <= 0.5
        wrong += not fine
        print(
            f"  {row['video']:18} alone {_n(row['offset'])}  moved {row['shift']:+3d} "
            f"-> {_n(row['answer'])}  error {_n(row['error'])}  {'ok' if fine else 'WRONG'}"
        )
    print(f"\npieces test ({given.piece:g} s)")
    agreed = agreement(pieces)
    for video in dict.fromkeys(piece.film for piece in pieces):
        here = [piece for piece in pieces if piece.film == video]
        middle = agreed.consensus.get(video) if agreed else None
        own = [p.offset_frames if p.answer.answered else None for p in here]
        answers = [None if offset is None else round(offset, 2) for offset in own]
        agreeing = sum(None not in (a, middle) and abs(a - middle) <= 1 for a in answers)
        print(
            f"  {video:18} {sum(a is not None for a in answers)} of {len(here)} answered, "
            f"{agreeing} within a frame of {_n(middle)}: {answers}"
        )
    if given.json:
        rows = [asdict(piece) for piece in pieces]
        given.json.write_text(
            json.dumps({"known": known, "shifts": shifts, "pieces": rows}, indent=1)
        )
    sys.exit(1 if wrong else 0)


def _n(value: float | None) -> str:
    return "   -  " if value is None else f"{value:+6.2f}"


if __name__ == "__main__":
    main()
