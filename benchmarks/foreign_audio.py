"""How often foreign audio gets an answer, by its length, and talk that fills only a part of a video.

The faces of some clips meet the audio of others: there is no right answer, and a longer video must not get
one more often. Then talk in sync is hidden in longer videos, to see what is still found. Clips are spliced
as embeddings, so that ten minutes of video take a second.

    python benchmarks/foreign_audio.py [--corpus DIR] [--videos 40] [--docs] [--json FILE]

With ``--docs`` it writes its section of docs/results.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from tables import Table, around_section, write_section

from synctool.errors import MissingError, SyncToolError
from synctool.measure.embeddings import AudioEmbeddings, FaceEmbeddings
from synctool.measure.encode import encode
from synctool.measure.volumes import score_volume
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.scoring.path import OffsetPath, follow_offset
from synctool.scoring.verdict import LEAST_CONFIDENCE
from synctool.types import VIDEO_FPS
from videos import ROOT, arguments, shared

SCRIPT = "benchmarks/foreign_audio.py"
PAGE = ROOT / "docs" / "results.md"
LENGTHS_S = (6, 60, 600)
TALKS_S = (3, 4, 6, 10)
HIDDEN_IN_S = (36, 300)
_LEAST_FRAMES = 50
_SURE = 0.7


@dataclass(frozen=True)
class Clip:
    """One talking face with its audio: embeddings float16 ``[D, T]`` each."""

    seen: np.ndarray
    heard: np.ndarray


Video = tuple[np.ndarray, np.ndarray]


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print the tables, write the page and the figures."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=shared("corpus"), help="where it is")
    parser.add_argument("--videos", type=int, default=40, help="per kind and length")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--docs", action="store_true", help="write the section of docs/results.md")
    given = parser.parse_args(words)
    show, notes = Console(width=160), Console(stderr=True)
    try:
        if given.docs:
            around_section(PAGE, script=SCRIPT)  # missing markers are said before the work
        model = load_model(given.backbone, weights=given.weights, device="cpu")
        bench = Bench(model, np.random.default_rng(given.seed))
        wild = recorded(model, sorted(given.corpus.glob("wild/*/*/*.mp4")), notes)
        grid = recorded(model, sorted(given.corpus.glob("grid/s4/*")), notes)
        grid += recorded(model, sorted(given.corpus.glob("grid/s30/*")), notes)
        tables = [
            foreign_table(bench, wild, grid, given.videos),
            hidden_table(bench, wild + grid, given.videos),
        ]
        for table in tables:
            table.show(show)
        if given.json:
            rows = {t.title: [dict(zip(t.columns, row)) for row in t.rows] for t in tables}
            given.json.write_text(json.dumps(rows, indent=1) + "\n")
        if given.docs:
            write_section(PAGE, "\n".join(t.markdown() for t in tables), script=SCRIPT)
    except SyncToolError as error:
        notes.print(f"error: {error}", style="red", highlight=False, markup=False)
        return error.exit_code
    return 0


def recorded(model: LoadedModel, paths: Sequence[Path], notes: Console) -> list[Clip]:
    """The clips in which one face is seen nearly throughout.

    Raises:
        MissingError: There are none.
    """
    clips = []
    for number, path in enumerate(paths):
        if number % 50 == 0:
            notes.print(f"{number} of {len(paths)} clips", style="dim", highlight=False)
        encoded = encode(path, [model], max_faces=1)
        (made,) = encoded.models
        face = max(made.faces, key=lambda f: f.frames, default=None)
        if face is None or face.frames < max(0.9 * encoded.frames, _LEAST_FRAMES):
            continue
        heard = made.audio.rows[:, face.first_frame :]
        frames = min(face.frames, heard.shape[1])
        clips.append(Clip(face.rows[:, :frames], heard[:, :frames]))
    if not clips:
        raise MissingError("no clips of talking faces", remedy="Give --corpus.")
    return clips


class Bench:
    """Makes videos of clips, and measures them.

    Args:
        model: The network.
        rng: Chooses clips.
    """

    def __init__(self, model: LoadedModel, rng: np.random.Generator) -> None:
        self.model = model
        self.rng = rng

    def measure(self, video: Video) -> OffsetPath:
        """As ``detect`` measures a video of one face."""
        seen, heard = video
        face, audio = FaceEmbeddings(0, 0, seen), AudioEmbeddings(heard)
        volume = score_volume(self.model, face, audio, max_offset=15)
        return follow_offset(volume, calibration=self.model.calibration)

    def two_kinds(self, clips: Sequence[Clip]) -> tuple[list[Clip], list[Clip]]:
        """Some clips for their faces, the others for their audio."""
        order = [clips[i] for i in self.rng.permutation(len(clips))]
        return order[: len(order) // 2], order[len(order) // 2 :]

    def cut(self, clips: Sequence[Clip], frames: int) -> Video:
        """Faces of one half of the clips with the audio of the other, ever new ones."""
        faces, audio = self.two_kinds(clips)
        return _joined([c.seen for c in faces], frames), _joined([c.heard for c in audio], frames)

    def loops(self, clips: Sequence[Clip], frames: int) -> Video:
        """A loop of three clips with a loop of the audio of three others, of other lengths."""
        faces, audio = self.two_kinds(clips)
        seen = _joined([c.seen for c in faces[:3]], frames)
        return seen, _joined([c.heard for c in audio[:3]], frames)

    def equal_loops(self, clips: Sequence[Clip], frames: int) -> Video:
        """The same of one length, so that one and the same chance match comes with every turn."""
        (face, *_), (audio, *_) = self.two_kinds(clips)
        length = min(face.seen.shape[1], audio.heard.shape[1])
        return _joined([face.seen[:, :length]], frames), _joined([audio.heard[:, :length]], frames)

    def hidden(
        self, clip: Clip, clips: Sequence[Clip], frames: int, total: int
    ) -> tuple[Video, int]:
        """So many frames of talk in sync somewhere in foreign audio, and where."""
        start = int(self.rng.integers(0, clip.seen.shape[1] - frames + 1))
        seen, heard = self.cut(clips, total - frames)
        at = int(self.rng.integers(0, total - frames + 1))
        talk = slice(start, start + frames)
        parts = ((seen, clip.seen[:, talk]), (heard, clip.heard[:, talk]))
        both = [np.concatenate([x[:, :at], part, x[:, at:]], 1) for x, part in parts]
        return (both[0], both[1]), at


def foreign_table(bench: Bench, wild: list[Clip], grid: list[Clip], videos: int) -> Table:
    """Share of foreign videos that get an answer, by kind and length."""
    kinds: dict[str, Callable[[int], Video]] = {
        "people in the wild, ever new": lambda n: bench.cut(wild, n),
        "the same, loops of three clips": lambda n: bench.loops(wild, n),
        "the same, loops of one length": lambda n: bench.equal_loops(wild, n),
        "GRID sentences, ever new": lambda n: bench.cut(grid, n),
        "GRID sentences, loops of three clips": lambda n: bench.loops(grid, n),
    }
    rows = []
    for name, make in kinds.items():
        row = [name]
        for seconds in LENGTHS_S:
            count = max(videos * 6 // seconds, videos // 4) if seconds > 60 else videos
            sure = [_sure(bench.measure(make(seconds * VIDEO_FPS))) for _ in range(count)]
            answered = np.mean([c >= LEAST_CONFIDENCE for c in sure])
            row.append(f"{answered:.3f} ({np.mean([c >= _SURE for c in sure]):.3f}) of {count}")
        rows.append(row)
    return Table(
        "Foreign audio that gets an answer",
        ["", *(f"{s} s" for s in LENGTHS_S)],
        rows,
        "Share of the videos with a confidence of 0.5 or more, in brackets of 0.7 or more; every one of "
        f"them is wrong. {len(wild)} clips in the wild, {len(grid)} of GRID, whose sentences share one "
        "rhythm and begin after the same silence.",
    )


def hidden_table(bench: Bench, clips: list[Clip], videos: int) -> Table:
    """How often talk in sync is found in a longer video of foreign audio."""
    sure = []
    for clip in clips:
        path = bench.measure((clip.seen, clip.heard))
        if _sure(path) >= _SURE:
            sure.append((clip, path.overall.offset_frames))
    rows = []
    for seconds in TALKS_S:
        row, frames = [f"{seconds} s of talk"], seconds * VIDEO_FPS
        long = [pair for pair in sure if pair[0].seen.shape[1] >= frames]
        for total_s in HIDDEN_IN_S:
            right = wrong = 0
            for _ in range(videos):
                clip, truth = long[bench.rng.integers(len(long))]
                path = bench.measure(bench.hidden(clip, clips, frames, total_s * VIDEO_FPS)[0])
                if _sure(path) >= LEAST_CONFIDENCE:
                    hit = abs(path.overall.offset_frames - truth) <= 1
                    right, wrong = right + hit, wrong + (not hit)
            row.append(f"{right / videos:.2f}, wrong {wrong / videos:.2f}")
        rows.append(row)
    return Table(
        "Talk that fills a part of a video",
        ["", *(f"in {s} s of foreign audio" for s in HIDDEN_IN_S)],
        rows,
        f"Share of {videos} videos each that are answered with the offset of the talk within a frame, and "
        "with another one.",
    )


def _sure(path: OffsetPath) -> float:
    """Confidence of the answer; 0 where there is none, or the audio passes for another's."""
    found = path.overall
    answered = found is not None and not found.at_edge and found.strength[0]
    return found.confidence if answered else 0.0


def _joined(parts: Sequence[np.ndarray], frames: int) -> np.ndarray:
    """Parts one after the other, from the first again at the end, ``[D, frames]``."""
    whole = np.concatenate(parts, 1)
    return np.tile(whole, -(-frames // whole.shape[1]))[:, :frames]


if __name__ == "__main__":
    sys.exit(main())
