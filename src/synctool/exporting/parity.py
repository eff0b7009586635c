"""An exported model against the PyTorch network that it was made of: the same windows through both.

PyTorch's side is the network as ``detect`` runs it, and not the modules that were exported, so that
cutting it into graphs is checked as well. The other side is the exported model as ``detect`` runs it; of a
model of which only some graphs were exported, PyTorch does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from synctool.errors import described
from synctool.exporting.formats.checks import Difference
from synctool.exporting.requirements import ALONE
from synctool.exporting.windows import Window
from synctool.runtimes.graphs import NOTHING, GraphRuntime
from synctool.runtimes.protocol import Graph, Runtime
from synctool.scoring.offset import estimate_offset
from synctool.types import DEFAULT_MAX_OFFSET

VIDEO, AUDIO = "video", "audio"
HEAD = "head"
"""Name of the difference of scores that are made of PyTorch's embeddings."""
SCORES = "scores"
"""Name of the difference of the whole way, from frames and audio to scores."""
_TINY = 1e-12


@dataclass(frozen=True)
class Answer:
    """What one side says of windows.

    Attributes:
        video_features: Embeddings of the frames, ``[B, D, T]``.
        audio_features: Embeddings of the audio, ``[B, D, T + 2R]``.
        scores: ``[B, 2K+1, T]``, ``-inf`` outside the audio.
    """

    video_features: np.ndarray
    audio_features: np.ndarray
    scores: np.ndarray


class Way(Protocol):
    """From windows of one length to an answer."""

    def answer(self, video: np.ndarray, audio: np.ndarray, inside: np.ndarray) -> Answer:
        """Go it.

        Args:
            video: As of ``Window.video``, with any batch.
            audio: As of ``Window.audio``.
            inside: float32 ``[B, T + 2R]``, 1 where the clip has audio; alike for all of the batch.
        """
        ...


class InSteps:
    """The way of anything that runs a network: it encodes, then it scores.

    Args:
        runtime: What runs it.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def answer(self, video: np.ndarray, audio: np.ndarray, inside: np.ndarray) -> Answer:
        """See ``Way``."""
        video_features = self._runtime.encode_video(video)
        audio_features = self._runtime.encode_audio(audio)
        return Answer(
            video_features, audio_features, self.scores(audio_features, video_features, inside)
        )

    def scores(
        self, audio_features: np.ndarray, video_features: np.ndarray, inside: np.ndarray
    ) -> np.ndarray:
        """Score embeddings, of whose audio only those inside the clip count."""
        here = np.flatnonzero(inside[0])
        first, end = (int(here[0]), int(here[-1]) + 1) if here.size else (0, 0)
        return self._runtime.score(
            np.ascontiguousarray(audio_features[..., first:end]),
            video_features,
            max_offset=DEFAULT_MAX_OFFSET,
            audio_lead=(audio_features.shape[-1] - video_features.shape[-1]) // 2 - first,
        )


class AtOnce:
    """The way of a graph that holds everything.

    Args:
        graph: Takes frames, audio and ``inside``; gives scores and both embeddings.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def answer(self, video: np.ndarray, audio: np.ndarray, inside: np.ndarray) -> Answer:
        """See ``Way``."""
        scores, audio_features, video_features = self._graph(video, audio, inside)
        return Answer(
            video_features, audio_features, np.where(scores > NOTHING, scores, np.float32(-np.inf))
        )


class Completed:
    """Some graphs of a network as a ``Runtime``: PyTorch does the rest.

    Args:
        graphs: By name.
        reference: PyTorch.
        margin: Rows that the head needs beyond the asked range.
    """

    def __init__(self, graphs: Mapping[str, Graph], *, reference: Runtime, margin: int) -> None:
        self.name, self.device = "completed", "cpu"
        self.reach, self.threads = reference.reach, reference.threads
        self._graphs = graphs
        self._reference = reference
        self._margin = margin

    def encode_video(self, video: np.ndarray) -> np.ndarray:
        """See ``Runtime``."""
        graph = self._graphs.get(VIDEO)
        return graph(video)[0] if graph else self._reference.encode_video(video)

    def encode_audio(self, audio: np.ndarray) -> np.ndarray:
        """See ``Runtime``."""
        graph = self._graphs.get(AUDIO)
        return graph(audio)[0] if graph else self._reference.encode_audio(audio)

    def score(
        self,
        audio_features: np.ndarray,
        video_features: np.ndarray,
        *,
        max_offset: int,
        audio_lead: int = 0,
    ) -> np.ndarray:
        """See ``Runtime``."""
        graph = self._graphs.get(HEAD)
        if graph is None:
            return self._reference.score(
                audio_features, video_features, max_offset=max_offset, audio_lead=audio_lead
            )
        alone = GraphRuntime(
            name=self.name,
            video=graph,
            audio=graph,
            head=graph,
            margin=self._margin,
            reach=self.reach,
        )
        return alone.score(
            audio_features, video_features, max_offset=max_offset, audio_lead=audio_lead
        )


@dataclass(frozen=True)
class Parity:
    """How the two sides compare.

    Attributes:
        differences: By name: ``video``, ``audio``, ``head``, ``scores``.
        windows: How many windows were compared.
        agreement: Share of these of whose audio both found the same offset; None where neither found
            any.
        problems: What is plainly wrong, such as numbers that are none.
    """

    differences: Mapping[str, Difference]
    windows: int
    agreement: float | None
    problems: tuple[str, ...]


def compare(
    reference: Runtime,
    exported: Way,
    windows: Sequence[Window],
    *,
    graphs: Sequence[str],
    on_window: Callable[[int], None] | None = None,
) -> Parity:
    """Put windows through both, one by one, and two of them at once.

    Args:
        reference: PyTorch.
        exported: The exported model.
        windows: The windows.
        graphs: Names of the graphs that were exported.
        on_window: Told how many are done.
    """
    found, ours = _Findings(), InSteps(reference)
    agreeing = told = 0
    for number, (video, audio, inside) in enumerate((*_singly(windows), *_together(windows))):
        expected = ours.answer(video, audio, inside)
        try:
            answer = exported.answer(video, audio, inside)
            found.differ(expected, answer, graphs, inside)
            if HEAD in graphs and isinstance(exported, InSteps):
                alone = exported.scores(expected.audio_features, expected.video_features, inside)
                found.scores(HEAD, expected.scores, alone)
        except Exception as error:  # whatever runs a graph may fail in any way
            shown = f"{video.shape[2]} frames, batch {len(video)}"
            found.problems[f"it fails on a window ({shown}): {described(error)}"] = None
            break
        if number < len(windows):
            rows = _row(expected.scores), _row(answer.scores)
            told += any(row is not None for row in rows)
            agreeing += rows[0] is not None and rows[0] == rows[1]
            if on_window:
                on_window(number + 1)
    return Parity(
        differences={name: g.difference() for name, g in found.gathered.items()},
        windows=len(windows),
        agreement=agreeing / told if told else None,
        problems=tuple(found.problems),
    )


_Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


def _singly(windows: Sequence[Window]) -> Iterator[_Arrays]:
    for window in windows:
        inside = np.zeros((1, window.frames + 2 * window.rows), np.float32)
        first, end = window.inside
        inside[:, first:end] = 1
        yield window.video(), window.audio(), inside


def _together(windows: Sequence[Window]) -> Iterator[_Arrays]:
    """A batch of the first two windows that go together, if any do."""
    by_form: dict[tuple[int, tuple[int, int]], list[Window]] = {}
    for window in windows:
        alike = by_form.setdefault((window.frames, window.inside), [])
        alike.append(window)
        if len(alike) == 2:
            pairs = zip(*_singly(alike))
            video, audio, inside = (np.concatenate(arrays) for arrays in pairs)
            yield video, audio, inside
            return


def _row(scores: np.ndarray) -> int | None:
    """The row of the offset that one window's scores tell, as ``detect`` finds it."""
    if scores.ndim != 3:
        return None
    estimate = estimate_offset(np.where(np.isfinite(scores[0]), scores[0], np.nan))
    return None if estimate is None else estimate.row


@dataclass
class _Gathered:
    """Differences of one kind of numbers over all windows."""

    maximum: float = 0.0
    total: float = 0.0
    count: int = 0
    relative: float = 0.0

    def add(self, apart: np.ndarray, relative: float) -> None:
        self.maximum = max(self.maximum, float(apart.max(initial=0.0)))
        self.total += float(apart.sum())
        self.count += apart.size
        self.relative = max(self.relative, relative)

    def difference(self) -> Difference:
        return Difference(self.maximum, self.total / max(self.count, 1), self.relative)


@dataclass
class _Findings:
    gathered: dict[str, _Gathered] = field(default_factory=dict)
    problems: dict[str, None] = field(default_factory=dict)

    def differ(
        self, ours: Answer, theirs: Answer, graphs: Sequence[str], inside: np.ndarray
    ) -> None:
        """Compare two answers; of what PyTorch did itself there is nothing to say."""
        whole = ALONE in graphs
        if whole:  # which gives zeros where there is no audio
            ours = replace(ours, audio_features=ours.audio_features * inside[:, None])
        if whole or VIDEO in graphs:
            self.embeddings(VIDEO, ours.video_features, theirs.video_features)
        if whole or AUDIO in graphs:
            self.embeddings(AUDIO, ours.audio_features, theirs.audio_features)
        self.scores(SCORES, ours.scores, theirs.scores)

    def embeddings(self, name: str, ours: np.ndarray, theirs: np.ndarray) -> None:
        """Compare embeddings ``[B, D, T]``."""
        if not self._alike(name, ours, theirs) or not self._acceptable(name, np.isfinite(theirs)):
            return
        apart = np.abs(theirs.astype(np.float64) - ours)
        lengths = np.linalg.norm(ours.astype(np.float64), axis=1)
        relative = np.linalg.norm(apart, axis=1) / np.maximum(lengths, _TINY)
        self._of(name).add(apart, float(relative.max(initial=0.0)))

    def scores(self, name: str, ours: np.ndarray, theirs: np.ndarray) -> None:
        """Compare score volumes."""
        if not self._alike(name, ours, theirs):
            return
        there = np.isfinite(ours)
        if not self._acceptable(name, ~np.isnan(theirs) & ~np.isposinf(theirs)):
            return
        if (there != np.isfinite(theirs)).any():
            self.problems[f"{name}: scores where there is no audio, or none where there is"] = None
        elif there.any():
            apart = np.abs(theirs[there].astype(np.float64) - ours[there])
            spread = max(float(ours[there].std()), _TINY)
            self._of(name).add(apart, float(apart.max()) / spread)

    def _of(self, name: str) -> _Gathered:
        return self.gathered.setdefault(name, _Gathered())

    def _alike(self, name: str, ours: np.ndarray, theirs: np.ndarray) -> bool:
        if np.shape(theirs) == ours.shape:
            return True
        shapes = f"{list(np.shape(theirs))} in place of {list(ours.shape)}"
        self.problems[f"{name}: an answer of the shape {shapes}"] = None
        return False

    def _acceptable(self, name: str, good: np.ndarray) -> bool:
        if not good.all():
            self.problems[f"{name}: values that are no numbers"] = None
        return bool(good.all())
