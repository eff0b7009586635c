"""Graphs in OpenVINO's own format, run on the processor."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from synctool.errors import WeightsError
from synctool.runtimes.openvino_check import checked_openvino
from synctool.weights.graph_files import GraphFiles, read_graph_files

_TELEMETRY = "openvino_telemetry"
_SIGNAL_STACK_BYTES = 1 << 16
_SIGNAL_STACKS: list[ctypes.Array[ctypes.c_char]] = []


def openvino_module() -> ModuleType:
    """The package ``openvino``, imported without telling anybody.

    Importing it sends a message to its makers' statistics, unless the package that sends it is missing. So
    for as long as the import takes, it is.

    Raises:
        ImportError: It is not installed.
    """
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    told = {name: sys.modules[name] for name in sys.modules if name.split(".")[0] == _TELEMETRY}
    for name in told:
        del sys.modules[name]
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # what makes an import fail
    try:
        import openvino
    finally:
        del sys.modules[_TELEMETRY]
        sys.modules.update(told)
    return openvino


class OpenVinoGraph:
    """A ``Graph``; several threads may call it at a time.

    Args:
        compiled: Of ``openvino.Core.compile_model``.
    """

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._own = threading.local()

    def __call__(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """See ``Graph``."""
        fresh = not hasattr(self._own, "request")
        if fresh:
            self._own.request = self._compiled.create_infer_request()
        request = self._own.request
        request.infer([np.ascontiguousarray(x, np.float32) for x in inputs])
        if fresh:
            room_for_signals()
        return [
            np.array(request.get_output_tensor(i).data) for i in range(len(self._compiled.outputs))
        ]


def read(source: Path | GraphFiles, *, threads: int) -> OpenVinoGraph:
    """Load a graph.

    Args:
        source: Its folder, or the bytes of that.
        threads: Threads that it computes with.

    Raises:
        MissingError: There is no such folder.
        WeightsError: It is damaged, or has operators that are not OpenVINO's own.
    """
    files = read_graph_files(source) if isinstance(source, Path) else source
    graph, numbers = checked_openvino(files)
    openvino = openvino_module()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        # Processors that can would otherwise compute in bfloat16, and answer otherwise.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    try:
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(graph, numbers), "CPU", settings)
    except Exception as error:  # RuntimeError, and whatever its own library raises
        raise WeightsError(
            f"{files.path} cannot be read by OpenVINO: {_reason(error)}", remedy="Export it again."
        ) from error
    room_for_signals()
    return OpenVinoGraph(compiled)


class _SignalStack(ctypes.Structure):
    """``stack_t`` of sigaltstack(2)."""

    _fields_ = (
        ("place", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("size", ctypes.c_size_t),
    )


def room_for_signals() -> None:
    """Enlarge the stack on which this thread handles signals, if there is one and it is small.

    OpenVINO sets one up that just holds the registers of its day. Once another library uses more of them
    (PyTorch in bfloat16 does), it overflows, and Ctrl-C ends in a segmentation fault.
    """
    if sys.platform != "linux":
        return
    system = ctypes.CDLL(None)
    now = _SignalStack()
    system.sigaltstack(None, ctypes.byref(now))
    if not now.place or now.size >= _SIGNAL_STACK_BYTES:
        return
    memory = ctypes.create_string_buffer(_SIGNAL_STACK_BYTES)
    roomy = _SignalStack(ctypes.addressof(memory), 0, _SIGNAL_STACK_BYTES)
    if system.sigaltstack(ctypes.byref(roomy), None) == 0:
        _SIGNAL_STACKS.append(memory)  # it must outlive the thread


def _reason(error: Exception) -> str:
    """The last line: the first ones name places in OpenVINO's sources."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
