"""What an exported model was checked with, in figures. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from synctool.types import Precision

REPORT_SCHEMA = "synctool.export-report/1"
_DISTURBED = 1.5


@dataclass(frozen=True)
class Difference:
    """How far the exported model's answers are from PyTorch's.

    Attributes:
        maximum: Of single numbers, the largest.
        mean: Of single numbers.
        relative: The largest in relation: of an embedding the length of the difference to the length
            of PyTorch's; of a score the difference to the standard deviation of its window's scores.
    """

    maximum: float
    mean: float
    relative: float


@dataclass(frozen=True)
class GraphFigures:
    """One graph.

    Attributes:
        name: ``video``, ``audio``, ``head`` or ``model``.
        file: Its name in the folder.
        bytes: Its size.
        differences: By output: ``video`` and ``audio`` for embeddings, ``head`` for scores of PyTorch's
            embeddings; none where nothing was checked.
    """

    name: str
    file: str
    bytes: int
    differences: Mapping[str, Difference]


@dataclass(frozen=True)
class Speed:
    """What a second of video (25 frames of one face) costs on this machine.

    Attributes:
        graph: Which graph.
        threads: How many threads computed.
        torch_ms: PyTorch, the median of a few runs.
        export_ms: The exported graph, the same.
    """

    graph: str
    threads: int
    torch_ms: float
    export_ms: float


def disturbed(speeds: Sequence[Speed]) -> list[Speed]:
    """Those that took much longer than with one thread, as when other programs have the cores."""
    alone = {speed.graph: speed for speed in speeds if speed.threads == 1}
    return [
        speed
        for speed in speeds
        if speed.torch_ms > _DISTURBED * alone.get(speed.graph, speed).torch_ms
        or speed.export_ms > _DISTURBED * alone.get(speed.graph, speed).export_ms
    ]


@dataclass(frozen=True)
class Share:
    """A share with its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class AccuracyChange:
    """What is right within a frame on a labelled set, before and after; per clip, then over clips.

    Attributes:
        of: ``windows`` of so many frames among 31 candidates, or whole ``clips``.
        frames: Length of the windows; 0 for clips.
        clips: How many clips that is of.
        people: Of how many people.
        before: PyTorch, with all of the network's weights.
        after: The exported model.
        change: After minus before, clip by clip.
    """

    of: Literal["windows", "clips"]
    frames: int
    clips: int
    people: int
    before: Share
    after: Share
    change: Share


@dataclass(frozen=True)
class ExportReport:
    """What became of an export.

    Attributes:
        format: Name of the format.
        precision: How its numbers are kept.
        backbone: Full name of the network.
        weights: Name and checksum of the weights that were exported.
        licence: Of these.
        folder: Where the exported model is.
        checked: Whether it was run and compared.
        unchecked_because: Why not.
        problems: Why it did not pass; empty if it did, or was not checked.
        windows: How many windows it was compared on.
        real: Whether these are from videos; else they are made up.
        agreement: Share of the windows of whose audio both found the same offset.
        scores: Of the whole way, from video and audio to scores; None where the head stays with
            PyTorch.
        tolerance: Largest relative difference allowed.
        least_agreement: Least agreement allowed on real windows.
        torch_bytes: Size of the network's own numbers before.
        graphs: The graphs.
        speeds: What they cost.
        accuracy: On a labelled set, if one was given.
        pruned: Share of the channels that was taken out before, 0..1.
        fixed_frames: The one length of windows that the format takes; 0 for any. Whole videos need any.
        notes: What was asked for and could not be measured, and why.
        seconds: How long it took to write.
        trust: Checksum to trust before it can be opened, where its format can run code; else "".
    """

    format: str
    precision: Precision
    backbone: str
    weights: str
    licence: str
    folder: str
    checked: bool
    unchecked_because: str
    problems: tuple[str, ...]
    windows: int
    real: bool
    agreement: float | None
    scores: Difference | None
    tolerance: float
    least_agreement: float
    torch_bytes: int
    graphs: tuple[GraphFigures, ...]
    speeds: tuple[Speed, ...] = ()
    accuracy: tuple[AccuracyChange, ...] = ()
    pruned: float = 0.0
    fixed_frames: int = 0
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    trust: str = ""

    @property
    def bytes(self) -> int:
        """Size of all graphs."""
        return sum(graph.bytes for graph in self.graphs)

    @property
    def passed(self) -> bool:
        """Whether it was checked and is sound."""
        return self.checked and not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data = {**asdict(self), "bytes": self.bytes, "passed": self.passed}
        return {"schema": REPORT_SCHEMA, **data}

    def checks(self) -> dict[str, Any]:
        """What the manifest keeps of it."""
        kept = (
            "checked",
            "unchecked_because",
            "problems",
            "windows",
            "real",
            "agreement",
            "scores",
        )
        kept += (
            "tolerance",
            "least_agreement",
            "torch_bytes",
            "speeds",
            "accuracy",
            "pruned",
            "fixed_frames",
        )
        data = asdict(self)
        differences = {graph["name"]: graph["differences"] for graph in data["graphs"]}
        return {**{name: data[name] for name in kept}, "differences": differences}
