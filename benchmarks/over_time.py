"""Offsets that change: videos joined from parts with offsets of their own, and videos that drift.

Both are made of stored crops of people whom no network was trained on, and of their audio.

*Joined*: two to four parts of a video, each of other clips (of one GRID speaker, or of people in the wild),
each cut from the middle of its clips with its audio moved by a random amount of up to 400 ms, so that
neighbours are at least 80 ms apart. The truth of a part is its move and the clips' own offset, which is what
the model says of them unmoved.

*Drifting*: pieces of 3 s of one person's clips in random order, as long as is wanted, with the audio
resampled in one go. The crops of a clip are encoded once, and the embeddings of its pieces joined; the audio
is encoded as a whole.

    python benchmarks/over_time.py --processed PROCESSED [--joined N] [--only joined] [--rows FILE] [--docs]

``--rows`` keeps finished rows in a file, so that a stopped run goes on. With ``--docs`` it writes the tables
of docs/over-time.md.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from held_out import HeldOut, held_out
from literature.segment_agreement import joined
from rich.console import Console
from tables import Table, share, write_section

from synctool.data.samples import Sample
from synctool.evaluation.bootstrap import mean_interval
from synctool.measure.analyze import analyze
from synctool.measure.embeddings import FaceEmbeddings
from synctool.measure.encode_clip import encode_audio, encode_crops
from synctool.measure.volumes import score_volume
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.scoring.path import follow_offset
from synctool.scoring.verdict import sure_segments
from synctool.types import (
    AUDIO_HZ,
    DEFAULT_MAX_OFFSET,
    FRAME_MS,
    SAMPLES_PER_FRAME,
    VIDEO_FPS,
    Segment,
)
from videos import ROOT, arguments

SCRIPT = "benchmarks/over_time.py"
PAGE = ROOT / "docs" / "over-time.md"
MARGIN_FRAMES = 13
"""Cut off either end of a part's clips, so that there is audio for every move."""
LARGEST_MS, LEAST_STEP_MS, LARGEST_TRUTH_MS = 400.0, 80.0, 14 * FRAME_MS
ACCEPTED_S, ACCEPTED_MS = 0.5, FRAME_MS
LEAST_CLIP_S, SHORT_PART_S = 4.0, 4.0
PIECE_FRAMES = 75
LEAST_PERSON_S = 10.0
LONGEST_PAUSE_S = 2.0
NOT_FOUND, SHY = "no segment, or below 0.25", "right, with a confidence below 0.5"
PAUSE, ELSEWHERE = "an edge in a pause of more than 2 s", "an edge elsewhere"
CAUSES = (SHY, PAUSE, ELSEWHERE, NOT_FOUND)
RATES = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0)
LENGTHS_MIN: dict[float, tuple[tuple[float, ...], int]] = {
    1.0: (RATES, 99),
    3.0: (RATES, 99),
    10.0: (RATES, 6),
    30.0: ((1.0, 2.0, 5.0, 40.0), 2),
}
"""Length -> the rates, and of how many people."""


@dataclass(frozen=True)
class PartRow:
    """What became of one part of a joined video."""

    video: str
    people: str
    parts: int
    found: int
    length_s: float
    truth_ms: float
    offset_ms: float | None
    edges_s: tuple[float | None, ...]
    cause: str = ""

    @property
    def measured(self) -> bool:
        """Whether its offset is right within a frame."""
        return self.offset_ms is not None and abs(self.offset_ms - self.truth_ms) <= ACCEPTED_MS

    @property
    def placed(self) -> bool:
        """Whether its inner edges are right within half a second."""
        return all(e is not None and abs(e) <= ACCEPTED_S for e in self.edges_s)


@dataclass(frozen=True)
class DriftRow:
    """What was said of one drifting video."""

    video: str
    person: str
    minutes: float
    truth: float
    drift: float | None
    low: float = 0.0
    high: float = 0.0
    segments: int = 0

    @property
    def close(self) -> bool:
        """Whether the drift is right within a tenth."""
        return self.drift is not None and abs(self.drift - self.truth) <= 0.1 * abs(self.truth)


# --------------------------------------------------------------------------- joined


def joined_rows(
    model: LoadedModel, people: HeldOut, count: int
) -> Iterator[tuple[str, Callable[[], list]]]:
    """One job a video."""
    grid = [s for s in people.by_person().values() if s[0].info.source == "GRID"]
    wild = [
        s
        for s in people.samples
        if s.info.source not in ("GRID", "LRW-AR") and s.info.num_frames >= 25 * LEAST_CLIP_S
    ]
    for number in range(count):
        rng = np.random.default_rng([1, number])
        parts = int(rng.integers(2, 5))
        if number % 2:
            speaker = grid[number // 2 % len(grid)]
            order = rng.permutation(len(speaker))
            sizes = rng.integers(2, 4, parts)
            ends = np.cumsum(sizes)
            chosen = [[speaker[i] for i in order[e - s : e]] for s, e in zip(sizes, ends)]
            name = people.person(speaker[0])
        else:
            chosen = [[wild[i]] for i in rng.permutation(len(wild))[:parts]]
            name = "wild"
        yield f"joined {number}", lambda c=chosen, n=name, v=number, r=rng: join(model, c, n, v, r)


def moves(own_ms: Sequence[float], rng: np.random.Generator) -> list[float]:
    """Random moves in ms; with the clips' own offsets neighbours differ, and all are in the range."""
    while True:
        found = rng.uniform(-LARGEST_MS, LARGEST_MS, len(own_ms))
        truths = found + own_ms
        far = abs(truths).max() > LARGEST_TRUTH_MS
        if not far and all(abs(a - b) >= LEAST_STEP_MS for a, b in pairwise(truths)):
            return found.tolist()


def join(
    model: LoadedModel,
    parts: Sequence[Sequence[Sample]],
    people: str,
    video: int,
    rng: np.random.Generator,
) -> list[PartRow]:
    """Make and measure one joined video."""
    clips = [joined(part) for part in parts]
    own = [whole_offset_ms(model, *clip, part[0]) for clip, part in zip(clips, parts)]
    own_ms = [ms for ms in own if ms is not None and abs(ms) < LARGEST_MS]
    if len(own_ms) < len(parts) or len({own_crops.ndim for own_crops, _ in clips}) > 1:
        return []  # clips without an answer of their own, or of two kinds
    size = min(clip.info.size_px for part in parts for clip in part)
    crops, audio, truths = [], [], []
    for (own_crops, own_audio), ms, move_ms in zip(clips, own_ms, moves(own_ms, rng)):
        inner = own_crops[MARGIN_FRAMES:-MARGIN_FRAMES, :size, :size]
        begin = MARGIN_FRAMES * SAMPLES_PER_FRAME + round(move_ms * AUDIO_HZ / 1000)
        crops.append(inner)
        audio.append(own_audio[begin : begin + len(inner) * SAMPLES_PER_FRAME])
        truths.append(move_ms + ms)
    face = encode_crops(model, np.concatenate(crops), parts[0][0].info)
    sound = encode_audio(model, np.concatenate(audio))
    found = analyze(
        model, [face], sound, frames=sum(map(len, crops)), max_offset=DEFAULT_MAX_OFFSET
    )
    sure = sure_segments(found.segments)
    borders = np.cumsum([0, *map(len, crops)]) / VIDEO_FPS
    rows = []
    for number, (truth, (start, end)) in enumerate(zip(truths, pairwise(borders))):
        overlap = [min(s.end_s, end) - max(s.start_s, start) for s in sure]
        best = int(np.argmax(overlap)) if overlap and max(overlap) > 0 else None
        inner = [side for side, wanted in ((0, number > 0), (1, number < len(parts) - 1)) if wanted]
        edges: list[float | None] = []
        for side in inner:
            truth_s = (start, end)[side]
            own_s = None if best is None else (sure[best].start_s, sure[best].end_s)[side]
            edges.append(None if own_s is None else round(own_s - truth_s, 3))
        offset = None if best is None else round(sure[best].offset_frames * FRAME_MS, 2)
        row = PartRow(
            f"joined {video}", people, len(parts), len(sure), float(end - start),
            round(truth, 2), offset, tuple(edges),
        )  # fmt: skip
        if not (row.measured and row.placed):
            row = replace(row, cause=cause_of(found.segments, truth, start, end, inner))
        rows.append(row)
    return rows


def cause_of(
    segments: Sequence[Segment], truth_ms: float, start: float, end: float, inner: Sequence[int]
) -> str:
    """Why a part was missed, by the segments of any confidence."""
    right = [
        s
        for s in segments
        if min(s.end_s, end) > max(s.start_s, start)
        and abs(s.offset_frames * FRAME_MS - truth_ms) <= ACCEPTED_MS
    ]
    if not right:
        return NOT_FOUND
    best = max(right, key=lambda s: min(s.end_s, end) - max(s.start_s, start))
    ends = [((best.start_s, best.end_s)[side], (start, end)[side]) for side in inner]
    if all(abs(own - truth) <= ACCEPTED_S for own, truth in ends):
        return SHY
    for side, (own, truth) in zip(inner, ends):
        beside = [s.end_s if side == 0 else s.start_s for s in segments if s is not best]
        ahead = [t for t in beside if (t <= own if side == 0 else t >= own)]
        gap_s = min((abs(t - own) for t in ahead), default=np.inf)
        if abs(own - truth) > ACCEPTED_S and gap_s > LONGEST_PAUSE_S:
            return PAUSE
    return ELSEWHERE


def whole_offset_ms(
    model: LoadedModel, crops: np.ndarray, audio: np.ndarray, clip: Sample
) -> float | None:
    """What the model says of clips unmoved."""
    found = analyze(
        model, [encode_crops(model, crops, clip.info)], encode_audio(model, audio),
        frames=len(crops), max_offset=DEFAULT_MAX_OFFSET,
    )  # fmt: skip
    if found.decision.verdict == "inconclusive" or found.offset_frames is None:
        return None
    return found.offset_frames * FRAME_MS


# --------------------------------------------------------------------------- drifting


def drift_rows(model: LoadedModel, people: HeldOut) -> Iterator[tuple[str, Callable[[], list]]]:
    """One job a video."""
    chosen = {
        person: clips
        for person, clips in people.by_person().items()
        if clips[0].info.source != "LRW-AR"
        and sum(c.info.num_frames for c in clips) >= VIDEO_FPS * LEAST_PERSON_S
    }
    encoded: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}

    def pieces(person: str) -> list[tuple[np.ndarray, np.ndarray]]:
        """Embeddings and audio of a person's pieces."""
        if person not in encoded:
            made = encoded[person] = []
            for clip in chosen[person]:
                crops, audio = joined([clip])
                rows = encode_crops(model, crops, clip.info).rows
                for start in range(0, len(crops) - PIECE_FRAMES + 2, PIECE_FRAMES):
                    stop = min(start + PIECE_FRAMES, len(crops))
                    part = audio[start * SAMPLES_PER_FRAME : stop * SAMPLES_PER_FRAME]
                    made.append((rows[:, start:stop], part))
        return encoded[person]

    for minutes, (rates, most) in LENGTHS_MIN.items():
        for number, person in enumerate(list(chosen)[:most]):
            for i, rate in enumerate(rates):
                truth = rate if (number + i) % 2 else -rate
                seed = [2, round(minutes), number, i]
                yield (
                    f"drift {person} {minutes:g} min {truth:+g}",
                    lambda p=person, m=minutes, t=truth, s=seed: [
                        drift(model, pieces(p), p, m, t, np.random.default_rng(s))
                    ],
                )


def drift(
    model: LoadedModel,
    pieces: Sequence[tuple[np.ndarray, np.ndarray]],
    person: str,
    minutes: float,
    truth: float,
    rng: np.random.Generator,
) -> DriftRow:
    """Make and measure one drifting video."""
    frames = round(minutes * 60 * VIDEO_FPS)
    spare = round(abs(truth) * minutes / FRAME_MS) + VIDEO_FPS
    order: list[int] = []
    while sum(pieces[i][0].shape[1] for i in order) < frames + spare:
        order.append(int(rng.integers(len(pieces))))
    rows = np.concatenate([pieces[i][0] for i in order], axis=1)[:, :frames]
    audio = np.concatenate([pieces[i][1] for i in order]).astype(np.float32)
    # At time t of the video the audio of t + truth (t - middle) sounds: in sync in the middle.
    time_s = np.arange(frames * SAMPLES_PER_FRAME) / AUDIO_HZ
    from_s = time_s + truth / 60_000 * (time_s - minutes * 30)
    moved = np.interp(from_s * AUDIO_HZ, np.arange(audio.size), audio, left=0, right=0)
    sound = encode_audio(model, np.round(moved).astype(np.int16))
    volume = score_volume(
        model, FaceEmbeddings(0, 0, rows), sound, max_offset=_searched(truth, minutes)
    )
    path = follow_offset(volume, calibration=model.calibration)
    name = f"{person} {minutes:g} min {truth:+g}"
    if path.drift is None:
        return DriftRow(name, person, minutes, truth, None)
    return DriftRow(
        name, person, minutes, truth, round(path.drift.estimate, 3), round(path.drift.low, 3),
        round(path.drift.high, 3), len(sure_segments(path.segments)),
    )  # fmt: skip


def _searched(truth: float, minutes: float) -> int:
    """The usual range, or one that holds the ends of the video."""
    return max(DEFAULT_MAX_OFFSET, round(abs(truth) * minutes / 2 / FRAME_MS) + 8)


# --------------------------------------------------------------------------- tables


def joined_table(rows: Sequence[PartRow], note: str) -> Table:
    """One line a kind of people."""
    table = Table(
        "Videos joined from parts",
        ("people", "videos", "parts", "offset within 40 ms", "edges within 0.5 s", "both",
         "median error, ms", "median edge, ms", "as many segments as parts"),
        note=note,
    )  # fmt: skip
    groups = _by_kind(rows)
    for name, own in sorted(groups.items()):
        videos = [r.video for r in own]

        def rate(values: Sequence[bool], videos: Sequence[str] = videos) -> str:
            return share(mean_interval(values, videos))

        errors = [abs(r.offset_ms - r.truth_ms) for r in own if r.offset_ms is not None]
        edges = [abs(e) for r in own for e in r.edges_s if e is not None]
        counted = {r.video: r.found == r.parts for r in own}
        table.rows.append(
            (
                name, str(len(counted)), str(len(own)), rate([r.measured for r in own]),
                rate([r.placed for r in own]), rate([r.measured and r.placed for r in own]),
                f"{np.median(errors):.0f}", f"{1000 * np.median(edges):.0f}",
                share(mean_interval(list(counted.values()), list(counted))),
            )
        )  # fmt: skip
    return table


def missed_table(rows: Sequence[PartRow]) -> Table:
    """Why parts were missed."""
    table = Table(
        "Parts that were missed, by cause",
        ("people", "missed", *CAUSES),
        note="Offset or edges are outside the limits of the table above. By segments of any confidence.",
    )
    for name, own in sorted(_by_kind(rows).items()):
        causes = [r.cause for r in own if r.cause]
        table.rows.append((name, str(len(causes)), *(str(causes.count(c)) for c in CAUSES)))
    return table


def _by_kind(rows: Sequence[PartRow]) -> dict[str, list[PartRow]]:
    groups: dict[str, list[PartRow]] = defaultdict(list)
    for row in rows:
        kind = "GRID" if row.people.startswith("GRID") else "wild"
        length = (
            f"parts of {SHORT_PART_S:g} s and more"
            if row.length_s >= SHORT_PART_S
            else "shorter parts"
        )
        groups[f"{kind}, {length}"].append(row)
    return groups


def drift_table(rows: Sequence[DriftRow], note: str) -> Table:
    """One line a length."""
    table = Table(
        "Drift",
        ("length", "videos", "half of the interval, ms/min", "interval holds the truth",
         *(f"{rate:g} ms/min: within a tenth" for rate in RATES), "one segment"),
        note=note,
    )  # fmt: skip
    for minutes in sorted({r.minutes for r in rows}):
        own = [r for r in rows if r.minutes == minutes]
        known = [r for r in own if r.drift is not None]
        halves = np.array([(r.high - r.low) / 2 for r in known])
        holds = [r.low <= r.truth <= r.high for r in known]
        cells = []
        for rate in RATES:
            here = [r for r in own if abs(r.truth) == rate]
            cells.append(f"{sum(r.close for r in here)} of {len(here)}" if here else "-")
        table.rows.append(
            (
                f"{minutes:g} min", str(len(own)),
                f"{np.median(halves):.2g} ({halves.min():.2g} to {halves.max():.2g})",
                share(mean_interval(holds, [r.person for r in known])), *cells,
                f"{sum(r.segments == 1 for r in own)} of {len(own)}",
            )
        )  # fmt: skip
    return table


def needed_minutes(rows: Sequence[DriftRow]) -> Table:
    """From which length a drift is told within a tenth: the interval falls with the length to the 3/2."""
    known = [r for r in rows if r.drift is not None and r.minutes >= 3]
    scale = [(r.high - r.low) / 2 * r.minutes**1.5 for r in known]
    table = Table(
        "From which length on",
        ("drift, ms/min", "told from none", "within a tenth", "within a tenth, hardest person"),
        note="Minutes of speech at which half of the interval is as large as the drift, or as a tenth of "
        f"it: {np.median(scale):.1f} ms/min at one minute (median over the videos of 3 min and more), "
        "falling with the length to the 3/2.",
    )
    worst = defaultdict(list)
    for row, value in zip(known, scale):
        worst[row.person].append(value)
    hardest = max(float(np.median(v)) for v in worst.values())

    def minutes(scale: float, wanted: float) -> str:
        return f"{(scale / wanted) ** (2 / 3):.1f}"

    for rate in RATES:
        middle = float(np.median(scale))
        table.rows.append(
            (
                f"{rate:g}",
                minutes(middle, rate),
                minutes(middle, rate / 10),
                minutes(hardest, rate / 10),
            )
        )
    return table


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, and write what was asked for."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--processed", type=Path, required=True, help="what preprocess made")
    parser.add_argument("--joined", type=int, default=60, help="how many joined videos")
    parser.add_argument("--only", choices=("joined", "drift"))
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--docs", action="store_true", help=f"write {PAGE.name}")
    given = parser.parse_args(words)
    model = load_model(given.backbone, weights=given.weights, device="cpu")
    people = held_out(given.processed)
    kept: dict[str, list] = {}
    if given.rows and given.rows.exists():
        kept = dict(map(json.loads, given.rows.read_text().splitlines()))
    parts: list[PartRow] = []
    drifts: list[DriftRow] = []
    for kind, jobs in (
        (PartRow, joined_rows(model, people, given.joined)),
        (DriftRow, drift_rows(model, people)),
    ):
        if given.only and (kind is PartRow) != (given.only == "joined"):
            continue
        for name, job in jobs:
            if name not in kept:
                kept[name] = [asdict(row) for row in job()]
                if given.rows:
                    with given.rows.open("a") as file:
                        file.write(json.dumps([name, kept[name]]) + "\n")
            for row in kept[name]:
                made = kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in row.items()})
                (parts if kind is PartRow else drifts).append(made)
    by = f"By `python {SCRIPT} --processed PROCESSED`, {model.weights}"
    tables = []
    if parts:
        tables.append(
            joined_table(
                parts,
                f"{by}. Two to four parts; 95 % intervals by bootstrap over videos. An edge is compared with "
                "the end of the segment that covers its part, so a pause at the edge counts against it.",
            )
        )
        tables.append(missed_table(parts))
    if drifts:
        tables += [
            drift_table(
                drifts,
                f"{by}. The interval is the reported one (95 %): median, least and largest; how often it "
                "holds the truth has a 95 % interval by bootstrap over people. Videos of "
                f"{len({r.person for r in drifts})} people who were not trained on.",
            ),
            needed_minutes(drifts),
        ]
    for table in tables:
        table.show(Console(width=170))
    if given.json:
        data = {"joined": [asdict(r) for r in parts], "drift": [asdict(r) for r in drifts]}
        given.json.write_text(json.dumps(data, indent=1) + "\n")
    if given.docs:
        write_section(PAGE, "\n".join(t.markdown() for t in tables), script=SCRIPT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
