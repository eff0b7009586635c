"""Running a model that was just exported, and comparing it with PyTorch: answers, speed, accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

from torch import nn

from synctool.comparison.entries import Entry
from synctool.cores import usable_cores
from synctool.errors import ExportError, MissingError, SyncToolError, described
from synctool.exporting.accuracy import accuracy_change
from synctool.exporting.event import ExportEvent, Tell
from synctool.exporting.formats.checks import (
    AccuracyChange,
    ExportReport,
    GraphFigures,
    Speed,
    disturbed,
)
from synctool.exporting.latency import speeds
from synctool.exporting.parity import AtOnce, Completed, InSteps, Parity, compare
from synctool.exporting.requirements import (
    ALONE,
    ENCODERS,
    LEAST_AGREEMENT,
    allowed_difference,
)
from synctool.exporting.windows import Windows, made_up_windows, of_length
from synctool.features.frontends import FRONT_ENDS
from synctool.networks import formats as export_formats
from synctool.networks.load_exported import GRAPHS, open_artefact, open_graphs, trust_needed
from synctool.networks.loaded import LoadedModel
from synctool.plugins.specs import ExporterSpec
from synctool.runtimes.protocol import Graph, Runtime
from synctool.settings.export import ExportSettings
from synctool.weights.artefact import Artefact, read_artefact


class Check:
    """Runs a written model and compares it with PyTorch.

    Args:
        original: The network before pruning.
        model: The network that was exported.
        settings: What was asked for.
        spec: The format.
        windows: What to compare on.
        entries: Labelled videos; none for no accuracy.
        tell: Told how far it is.
    """

    def __init__(
        self,
        original: LoadedModel,
        model: LoadedModel,
        settings: ExportSettings,
        spec: ExporterSpec,
        windows: Windows,
        entries: Sequence[Entry],
        tell: Tell,
    ) -> None:
        self._original, self._model = original, model
        self._settings, self._spec = settings, spec
        self._windows, self._entries = windows, entries
        self._tell = tell
        self._problems: list[str] = []
        self._notes: list[str] = []
        # As in ``encoding_beside``: threads that wait for a taken core cost more than they give.
        self._threads = max(1, usable_cores() // 2)
        self._because = export_formats.status(spec).cannot_run_because

    def report(self, artefact: Artefact) -> ExportReport:
        """Measure everything that can be measured here."""
        parity = Parity({}, 0, None, ())
        timed: tuple[Speed, ...] = ()
        right: tuple[AccuracyChange, ...] = ()
        length = self._fixed_frames(artefact)
        opened = None if self._because else self._opened(artefact)
        if opened is not None:
            if length:
                self._windows = self._of_length(length)
            parity = self._compared(opened, artefact)
            if not parity.problems:
                timed = self._speeds(artefact)
                right = self._accuracy(opened, length)
        wanted = self._settings
        measures = set(GRAPHS) <= set(artefact.parts)
        return ExportReport(
            format=artefact.format,
            precision=artefact.precision,
            backbone=artefact.backbone,
            weights=artefact.weights,
            licence=artefact.licence,
            folder=str(wanted.out),
            checked=not self._because,
            unchecked_because=self._because,
            problems=tuple(self._problems),
            windows=parity.windows,
            real=self._windows.real,
            agreement=parity.agreement,
            scores=parity.differences.get("scores"),
            tolerance=allowed_difference(wanted),
            least_agreement=LEAST_AGREEMENT[wanted.precision],
            torch_bytes=_bytes(self._original.network),
            graphs=tuple(_graph_figures(artefact, parity)),
            speeds=timed,
            accuracy=right,
            pruned=wanted.prune,
            fixed_frames=length,
            notes=tuple(self._notes),
            trust=trust_needed(artefact, GRAPHS) if measures else "",
        )

    def _opened(self, artefact: Artefact) -> Runtime | Graph | None:
        """The model as its users open it; None where it cannot be run here, or is broken."""
        self._tell(ExportEvent("opening it again"))
        try:
            found = read_artefact(artefact.folder)
            if set(GRAPHS) <= set(found.parts):
                return open_artefact(
                    found, device="cpu", threads=self._threads, just_written=artefact
                ).runtime
            graphs = self._graphs(found, artefact, self._threads)
        except MissingError as error:
            self._because = error.cause
        except Exception as error:  # whatever reads a graph may fail in any way
            said = error.cause if isinstance(error, SyncToolError) else described(error)
            self._problems.append(f"it cannot be opened again: {said}")
        else:
            if ALONE in graphs:
                return graphs[ALONE]
            reference = self._model.runtime
            return Completed(graphs, reference=reference, margin=artefact.margin)
        return None

    def _graphs(self, found: Artefact, written: Artefact, threads: int) -> dict[str, Graph]:
        return open_graphs(found, found.parts, threads=threads, just_written=written)

    def _compared(self, opened: Runtime | Graph, artefact: Artefact) -> Parity:
        windows, reference = self._windows.compared, self._model.runtime
        before, reference.threads = reference.threads, self._threads
        parity = compare(
            reference,
            _answers(opened, alone=ALONE in artefact.parts),
            windows,
            graphs=tuple(artefact.parts),
            on_window=lambda n: self._tell(ExportEvent("comparing windows", n, len(windows))),
        )
        reference.threads = before
        self._problems += [*parity.problems, *self._judged(parity)]
        return parity

    def _judged(self, parity: Parity) -> Iterator[str]:
        """What lies beyond the tolerance, in words."""
        allowed = allowed_difference(self._settings)
        for name, difference in parity.differences.items():
            if not difference.relative <= allowed:
                what = "embeddings" if name in ENCODERS else "scores"
                of = "length" if name in ENCODERS else "spread"
                yield (
                    f"{name}: {what} differ by up to {difference.relative:.2g} of their {of}, "
                    f"and {allowed:g} is allowed"
                )
        least = LEAST_AGREEMENT[self._settings.precision]
        if self._windows.real and parity.agreement is not None and parity.agreement < least:
            yield (
                f"{parity.agreement:.1%} of {parity.windows} real windows have the same offset, "
                f"and {least:.0%} must"
            )

    def _fixed_frames(self, artefact: Artefact) -> int:
        """Length of the windows that a format takes, where it takes one length only; else 0."""
        for part in artefact.parts.values():
            video = part.inputs.get("video") or part.inputs.get("video_features")
            if video and isinstance(video[2], int):
                return video[2]
            audio = part.inputs.get("audio")
            if audio and isinstance(audio[-1], int):
                steps = FRONT_ENDS[artefact.audio.kind].steps
                return audio[-1] // steps - 2 * self._windows.compared[0].rows
        return 0

    def _of_length(self, frames: int) -> Windows:
        """Windows for a format that takes one length only."""
        self._notes.append(f"the graphs take windows of {frames} frames, and of no other length")
        compared = of_length(self._windows.compared, frames)
        if compared:
            return replace(self._windows, compared=compared)
        self._notes.append(f"no clip is as long as {frames} frames: compared on made-up windows")
        some = self._windows.compared[0]
        made_up = made_up_windows(some.spec, rows=some.rows, count=self._settings.windows)
        return replace(made_up, compared=of_length(made_up.compared, frames))

    def _speeds(self, artefact: Artefact) -> tuple[Speed, ...]:
        self._tell(ExportEvent("measuring the speed"))
        longest = max(self._windows.compared, key=lambda window: window.frames)
        try:
            opened = partial(self._graphs, artefact, artefact)
            found = tuple(speeds(self._model.runtime, opened, longest))
        except Exception as error:  # whatever runs a graph may fail in any way
            self._problems.append(f"it fails when its speed is measured: {described(error)}")
            return ()
        if disturbed(found):
            self._notes.append(
                "with more threads it was slower: other programs had the cores, or it is too small"
            )
        return found

    def _accuracy(self, opened: Runtime | Graph, length: int) -> tuple[AccuracyChange, ...]:
        if not self._entries:
            return ()
        if length:
            self._notes.append("accuracy not measured: the clips of a set have any length")
            return ()
        try:
            return accuracy_change(
                self._original,
                replace(self._model, runtime=cast(Runtime, opened)),
                self._entries,
                detector=self._settings.detector,
                on_video=lambda n, of: self._tell(ExportEvent("measuring the accuracy", n, of)),
            )
        except ExportError as error:
            self._problems.append(error.cause)
            return ()


def _bytes(network: nn.Module) -> int:
    """Size of a network's numbers."""
    return sum(v.numel() * v.element_size() for v in network.state_dict().values())


def _graph_figures(artefact: Artefact, parity: Parity) -> Iterator[GraphFigures]:
    for name, part in artefact.parts.items():
        kinds = (name,) if name != ALONE else ENCODERS
        found = {kind: parity.differences[kind] for kind in kinds if kind in parity.differences}
        yield GraphFigures(name, part.file, part.bytes, found)


def _answers(opened: Runtime | Graph, *, alone: bool) -> AtOnce | InSteps:
    """How an exported model is asked: as the one graph that it is, or encoders and head in turn."""
    return AtOnce(cast(Graph, opened)) if alone else InSteps(cast(Runtime, opened))
