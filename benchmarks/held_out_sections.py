"""The sections of ``held_out_speakers.py``: each measures and gives plain figures and tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from held_out import HeldOut, held_out
from known_offsets import video_pieces
from literature.multiway import (
    CHANCE,
    LITERATURE_CONTEXTS,
    accuracies,
    clip_constants,
    window_hits,
)
from literature.segment_agreement import PiecesResult, agreement, pieces_of
from moved_videos import Moved, dev_videos, far_moves, joined_videos, looped_videos, whole_clips
from network_cost import cost
from reliability_plot import plot_reliability
from rich.console import Console
from tables import Table, drawn, share

from synctool.errors import MissingError
from synctool.evaluation.bootstrap import mean_interval
from synctool.measure.detect import Detector
from synctool.networks.loaded import LoadedModel
from synctool.plugins.specs import BackboneSpec
from synctool.training.calibration import calibrate, known_segments, reliability
from synctool.types import FRAME_MS, VIDEO_FPS
from synctool.weights.files import find_weights

PLOT = "reliability.png"
PIECES_S = (2.0, 3.0)
CLIPS = ("example.avi", "demo1_video.mp4", "demo2_video.mp4", "demo3_video.mp4")
READING = {
    "alone": "windows of 5 frames alone, scores averaged (the literature's protocol)",
    "cut": "windows cut out: the whole network, nothing beyond them",
    "film": "in video: out of a clip that was encoded whole (as `detect` works)",
}


@dataclass
class Bench:
    """What the sections share.

    Attributes:
        model: The network.
        given: The command line.
        work: A temporary folder.
        console: Where progress is told.
    """

    model: LoadedModel
    given: Any
    work: Path
    console: Console

    @property
    def spec(self) -> BackboneSpec:
        """What the network takes, and how far it looks."""
        return self.model.spec

    @cached_property
    def held_out_speakers(self) -> HeldOut:
        """The held-out people."""
        given = self.given
        return held_out(
            given.processed, given.split, sources=given.sources or (), limit=given.limit
        )

    @cached_property
    def constants(self) -> dict[str, float]:
        """The constant delay of each held-out clip."""
        people = self.held_out_speakers
        return clip_constants(
            self.model.network, people.samples, spec=self.spec, person=people.person
        )

    @cached_property
    def dev(self) -> list[Path]:
        """Videos of the GRID speakers that are not trained on."""
        return dev_videos(self.given.corpus, limit=self.given.limit)

    @cached_property
    def web(self) -> list[Path]:
        """videos of held-out speakers."""
        videos = [self.given.clips / name for name in CLIPS]
        missing = [video for video in videos if not video.is_file()]
        if missing:
            raise MissingError(
                f"no clips: {missing[0]} is not there",
                remedy="Give their folder with --clips, or set SYNCTOOL_CLIPS.",
            )
        return videos[: self.given.limit]

    def tell(self, text: str) -> None:
        """Say what is being done."""
        self.console.print(f"{text} ...", style="dim", highlight=False)


def multiway_section(bench: Bench) -> tuple[dict, list[Table]]:
    """The table that the literature prints."""
    people = bench.held_out_speakers
    hits = window_hits(
        bench.model.network,
        people.samples,
        spec=bench.spec,
        person=people.person,
        constants=bench.constants,
        leave_out=bench.given.candidates == "inside",
    )
    cells = accuracies(hits)
    tables = []
    for source in sorted({cell.source for cell in cells}):
        for windows, of in (("all", "all windows"), ("speech", "windows of speech")):
            here = [c for c in cells if (c.source, c.windows) == (source, windows)]
            if not here:
                continue
            table = Table(f"{source}, {of}", ["", *(f"{n} frames" for n in LITERATURE_CONTEXTS)])
            for reading, name in READING.items():
                found = {c.frames: c.interval for c in here if c.reading == reading}
                table.rows.append([name, *(share(found.get(n)) for n in LITERATURE_CONTEXTS)])
            count = max(c.count for c in here)
            table.note = (
                f"{here[0].interval.count} clips, {count} windows; {drawn(here[0].interval)}."
            )
            tables.append(table)
    beyond = (
        "beyond the clip's ends another clip of the same person audio frames, so that there are always 31; "
        f"chance {CHANCE:.3f}"
        if bench.given.candidates == "always"
        else f"those beyond the clip's ends are left out, so that chance is above {CHANCE:.3f}"
    )
    tables[0].heading = "31 candidates, one frame accepted"
    tables[0].note += (
        f" Candidates: {beyond}. Accuracy per clip, then over clips. A window is one "
        "of speech if at least half of its frames are, by Silero's voice-activity network. Each clip's "
        "own constant delay is measured with this network on the person's other clips and taken out first; "
        "the clips of LRW-AR lie about a frame off it, each by its own amount, so its figures are too low."
    )
    if getattr(bench.model.network, "local_scale", None) is None:
        tables[0].note += (
            " The network has no local embeddings: for windows alone, both encoders get five frames "
            "that are cut out."
        )
    return {"people": people.facts(), "cells": [asdict(c) for c in cells]}, tables


def pieces_section(bench: Bench) -> tuple[dict, list[Table]]:
    """Pieces against their video's consensus."""
    table = Table(
        "Right within a frame of their video's consensus",
        ["", "pieces", "answered", "best match right, of all", "right, of the answered"],
        heading="Pieces",
        note="The audio of each piece is moved by its own random amount, up to 10 frames. Held-out "
        "people's clips are joined to one video a person, if the person has a name (the others' clips "
        "have offsets of their own); videos of the folder of clips go through the "
        "whole of `detect`. A piece is answered where the confidence is 0.5 or more.",
    )
    figures: dict[str, Any] = {}
    model, people = bench.model, bench.held_out_speakers
    for seconds in PIECES_S:
        rng = np.random.default_rng(5)
        found: dict[str, list] = {}
        for person, samples in people.by_person().items():
            if not samples[0].info.speaker:
                continue  # clips of many videos: joined, they have no common offset
            made = pieces_of(
                person,
                person,
                samples,
                model,
                piece_frames=round(seconds * VIDEO_FPS),
                rng=rng,
            )
            found.setdefault(samples[0].info.source, []).extend(made)
        web = video_pieces(bench.web, Detector(model=model), seconds, bench.work)
        found["videos of held-out speakers"] = web
        for source, pieces in found.items():
            result = agreement(pieces)
            if result is not None:
                name = f"{source}, {seconds:g} s"
                table.rows.append([name, *_pieces_row(result)])
                figures[name] = {**asdict(result), "rows": [asdict(p) for p in pieces]}
                table.note += f" {name}: {drawn(result.of_all, 'pieces')}."
    return figures, [table]


def whole_section(bench: Bench) -> tuple[dict, list[Table]]:
    """GRID clips moved by known amounts."""
    measuring = Detector(model=bench.model, max_offset=18)
    table = _moves_table("GRID clips of 3 s, audio moved by up to 15 frames")
    table.heading = "Whole clips"
    figures = {}
    for name, fractional in (("whole frames", False), ("fractions of a frame", True)):
        rows = whole_clips(bench.dev, measuring, bench.work, fractional=fractional)
        figures[name] = [asdict(row) for row in rows]
        table.rows.append([name, *_moves_row(rows)])
    table.note = (
        "Speakers s4 and s30, through the whole of `detect`, against the move and GRID's own constant "
        "(the median answer over the clips unmoved); clips without a match count as wrong. "
        f"{_unanswered(figures)} 95% intervals by bootstrap over clips."
    )
    return figures, [table]


def range_section(bench: Bench) -> tuple[dict, list[Table]]:
    """Videos of 20 s and more, moved far."""
    near = Detector(model=bench.model, max_offset=18)
    wide = Detector(model=bench.model, max_offset=125)
    table = _moves_table("Videos of 20 s and more, audio moved by up to 122 frames, 125 searched")
    table.heading = "Range"
    figures = {}
    for name, videos in (
        ("GRID speakers s4 and s30, 7 clips joined", joined_videos(bench.dev, bench.work)),
        ("videos of held-out speakers, short ones looped", looped_videos(bench.web, bench.work)),
    ):
        rows = far_moves(videos, near, wide, bench.work)
        figures[name] = [asdict(row) for row in rows]
        if rows:
            table.rows.append([name, *_moves_row(rows)])
    table.note = (
        "The same weights as for ±15 frames, through the whole of `detect`; each video is moved three times. "
        "Its own offset is what it says unmoved by the short search. "
        f"{_unanswered(figures)} 95% intervals by bootstrap over moved videos."
    )
    return figures, [table]


def calibration_section(bench: Bench) -> tuple[dict, list[Table]]:
    """Whether the confidence is what it says."""
    people = bench.held_out_speakers
    constants = clip_constants(
        bench.model.network,
        people.samples,
        spec=bench.spec,
        person=people.person,
        own=True,
    )
    examples = known_segments(
        bench.model.network,
        people.samples,
        spec=bench.spec,
        true_offset=lambda sample: constants[sample.info.key],
        person=people.person,
    )
    report = calibrate(examples)
    stored, stored_table = reliability(bench.model.calibration, examples)
    table = Table(
        "Reliability",
        ["confidence", "stretches", "mean confidence", "right"],
        [
            [
                f"{r.low:.1f} to {r.high:.1f}",
                str(r.count),
                f"{r.confidence:.2f}",
                f"{r.accuracy:.2f}",
            ]
            for r in report.table
        ],
        note=f"Expected calibration error {report.error:.3f} over folds by person: each person is "
        f"predicted by a calibration fitted on the others ({report.examples} segments of 0.4 to 16 s of "
        f"{report.people} people, one tenth of them with foreign audio). The calibration that is stored "
        f"with the weights: {stored:.3f} on the same segments; if these people were its validation "
        "people, it was fitted on them. The offset of an unnamed person's clip is what the network says "
        "of the whole of it, unless that lies far off the other clips'.",
        heading="Confidence",
        after=f"![Reliability of the confidence]({PLOT})",
    )
    if bench.given.plot:
        plot_reliability(bench.given.plot, report.table, stored_table, report.error, stored)
    figures = {
        "error": report.error,
        "stored_error": stored,
        "examples": report.examples,
        "people": report.people,
        "table": [asdict(row) for row in report.table],
        "stored_table": [asdict(row) for row in stored_table],
    }
    return figures, [table]


def cost_section(bench: Bench) -> tuple[dict, list[Table]]:
    """What the network costs."""
    given = bench.given
    weights = given.weights or find_weights(
        bench.model.spec.weights, backbone=bench.model.spec.full_name
    )
    figures = cost(bench.model, bench.web[:2], weights=weights)
    table = Table(
        "Per 25 Hz frame, one core",
        ["", "million multiply-adds", "ms"],
        [
            [name, f"{part['multiply_adds'] / 1e6:.2f}", f"{part['ms']:.2f}"]
            for name, part in figures["parts"].items()
        ],
        heading="Cost of the network",
    )
    for name, video in figures["decoding"].items():
        ratio = video["network_to_decoding"]
        table.rows.append(
            [f"decoding {name} (the network takes {ratio:.1f} x)", "", f"{video['ms']:.2f}"]
        )
    table.note = (
        f"{figures['parameters'] / 1e6:.1f} million parameters, {figures['weights_bytes'] / 1e6:.1f} MB "
        f"of weights; encoders and head together {figures['whole_ms']:.2f} ms. Times are of this run."
    )
    return figures, [table]


SECTIONS: dict[str, Callable[[Bench], tuple[dict, list[Table]]]] = {
    "multiway": multiway_section,
    "pieces": pieces_section,
    "whole": whole_section,
    "range": range_section,
    "calibration": calibration_section,
    "cost": cost_section,
}


def _pieces_row(result: PiecesResult) -> list[str]:
    answered = f"{result.answered} ({result.answered / result.pieces:.0%})"
    return [str(result.pieces), answered, share(result.of_all), share(result.of_answered)]


def _moves_table(title: str) -> Table:
    columns = ["", "films", "answered", "best match right, of all", "right, of the answered"]
    return Table(title, [*columns, "median error"])


def _moves_row(rows: list[Moved]) -> list[str]:
    clips = list(range(len(rows)))
    answered = [row for row in rows if row.answered]
    errors = [abs(row.error) for row in rows if row.error is not None]
    of_answered = (
        mean_interval([r.right for r in answered], range(len(answered))) if answered else None
    )
    median = f"{FRAME_MS * float(np.median(errors)):.0f} ms" if errors else "-"
    return [
        str(len(rows)),
        f"{len(answered)} ({len(answered) / len(rows):.0%})",
        share(mean_interval([row.right for row in rows], clips)),
        share(of_answered),
        median,
    ]


def _unanswered(figures: dict[str, list[dict]]) -> str:
    wrong = [
        f"{row['video']} moved {row['moved_frames']:+.1f}: {row['found']:.1f}"
        for rows in figures.values()
        for row in rows
        if row["answered"] and abs(row["found"] - row["expected"]) > 1
    ]
    return f"Wrong answers: {'; '.join(wrong)}." if wrong else "No answer is wrong."
