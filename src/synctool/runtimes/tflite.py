"""Graphs for LiteRT (TensorFlow Lite), run on the processor."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from synctool.errors import UsageError, WeightsError
from synctool.runtimes.trust import admit
from synctool.weights.graph_files import GraphFiles


class LiteRTGraph:
    """A ``Graph`` of one length. Clips of a batch run one after the other, and threads take turns.

    Args:
        interpreter: An ``ai_edge_litert.interpreter.Interpreter``.
        path: For messages.
    """

    def __init__(self, interpreter: Any, *, path: Path) -> None:
        self._run = interpreter.get_signature_runner()
        self._path = path
        details = self._run.get_input_details()
        self._inputs = _in_order(details, interpreter.get_input_details())
        self._outputs = _in_order(self._run.get_output_details(), interpreter.get_output_details())
        self.shapes = tuple(tuple(int(n) for n in details[name]["shape"]) for name in self._inputs)
        """Of the inputs; the first number of each is 1."""
        self._turn = threading.Lock()

    def __call__(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """See ``Graph``.

        Raises:
            UsageError: The clips have another length than the graph was written for.
        """
        for name, shape, x in zip(self._inputs, self.shapes, inputs):
            if x.shape[1:] != shape[1:]:
                raise UsageError(
                    f"{self._path} takes {name} of {_said(shape[1:])} and was given {_said(x.shape[1:])}",
                    remedy="A graph of this format has one length: give it clips of that, or export "
                    "to a --format that takes any, such as onnx.",
                )
        found: list[list[np.ndarray]] = [[] for _ in self._outputs]
        with self._turn:
            for clip in zip(*inputs):
                given = {n: np.asarray(x[None], np.float32) for n, x in zip(self._inputs, clip)}
                told = self._run(**given)
                for rows, name in zip(found, self._outputs):
                    rows.append(np.array(told[name], np.float32))
        return [np.concatenate(rows) for rows in found]


def read(
    source: Path | GraphFiles, *, threads: int, trust: str | Iterable[str] | None = None
) -> LiteRTGraph:
    """Load a graph.

    Args:
        source: The file, or its bytes.
        threads: Threads that it computes with.
        trust: Checksums that are trusted from now on: its makers say that the interpreter is not made for
            untrusted graphs.

    Raises:
        MissingError: There is no such file.
        UntrustedError: It is not trusted.
        WeightsError: It is damaged.
    """
    files = admit(source, format="tflite", trust=trust)
    from ai_edge_litert.interpreter import (  # pyright: ignore[reportMissingImports]
        Interpreter,
    )

    try:
        with silent_terminal():
            interpreter = Interpreter(model_content=files.data, num_threads=threads)
            interpreter.allocate_tensors()
        return LiteRTGraph(interpreter, path=files.path)
    except Exception as error:  # whatever its own library raises
        raise WeightsError(
            f"{files.path} cannot be read by LiteRT: {error}", remedy="Export it again."
        ) from error


@contextmanager
def silent_terminal() -> Iterator[None]:
    """Keep from the user what C++ writes to the terminal itself, meanwhile."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [(number, os.dup(number)) for number in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for number, _ in kept:
            os.dup2(nowhere, number)
        yield
    finally:
        os.close(nowhere)
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)


def _in_order(named: Mapping[str, Any], listed: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Names in the order of the graph; the signature has them by the alphabet."""
    places = {entry["index"]: place for place, entry in enumerate(listed)}
    return tuple(sorted(named, key=lambda name: places[named[name]["index"]]))


def _said(shape: Sequence[int]) -> str:
    return " x ".join(str(n) for n in shape)
