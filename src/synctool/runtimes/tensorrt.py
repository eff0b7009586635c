"""TensorRT engines, run on an NVIDIA card; PyTorch holds the memory there."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from synctool.errors import MissingError, UsageError, WeightsError
from synctool.runtimes.trust import admit
from synctool.weights.graph_files import GraphFiles

DEVICE = "cuda"


def tensorrt_module() -> ModuleType:
    """The package ``tensorrt``, where there is a card for it.

    Raises:
        MissingError: There is no NVIDIA card.
        ImportError: It is not installed.
    """
    import torch

    if not torch.cuda.is_available():
        raise MissingError(
            "TensorRT needs an NVIDIA card, and PyTorch finds none",
            remedy="Use it on a machine that has one, or export to another --format, such as onnx.",
        )
    import tensorrt  # pyright: ignore[reportMissingImports]

    return tensorrt


class TensorRTGraph:
    """A ``Graph``; threads take turns.

    Args:
        engine: A ``tensorrt.ICudaEngine``.
        path: For messages.

    Raises:
        RuntimeError: There is no memory to run it in.
    """

    def __init__(self, engine: Any, *, path: Path) -> None:
        trt = tensorrt_module()
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        taken = {name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT}
        self._inputs = [name for name in names if name in taken]
        self._outputs = [name for name in names if name not in taken]
        self._engine = engine  # a context does not keep it
        self._context = engine.create_execution_context()
        if self._context is None:
            raise RuntimeError("no memory on the card")
        self._path = path
        self._turn = threading.Lock()

    def __call__(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """See ``Graph``.

        Raises:
            UsageError: A clip or a batch is larger than the engine was built for.
            RuntimeError: The card failed.
        """
        import torch

        with self._turn:
            held = []
            for name, x in zip(self._inputs, inputs):
                held.append(torch.from_numpy(np.ascontiguousarray(x, np.float32)).to(DEVICE))
                if not self._context.set_input_shape(name, tuple(x.shape)):
                    raise UsageError(
                        f"{self._path} was not built for {name} of {' x '.join(map(str, x.shape))}",
                        remedy="Give it shorter clips, or fewer at once.",
                    )
                self._context.set_tensor_address(name, held[-1].data_ptr())
            found = []
            for name in self._outputs:
                shape = tuple(self._context.get_tensor_shape(name))
                found.append(torch.empty(shape, dtype=torch.float32, device=DEVICE))
                self._context.set_tensor_address(name, found[-1].data_ptr())
            stream = torch.cuda.current_stream()
            if not self._context.execute_async_v3(stream.cuda_stream):
                raise RuntimeError(f"TensorRT could not run {self._path}")
            stream.synchronize()
            return [x.cpu().numpy() for x in found]


def read(
    source: Path | GraphFiles, *, threads: int, trust: str | Iterable[str] | None = None
) -> TensorRTGraph:
    """Load an engine.

    Args:
        source: The file, or its bytes.
        threads: Not used: the card computes.
        trust: Checksums that are trusted from now on: an engine is a program for the card, and may name
            libraries with operators of its own.

    Raises:
        MissingError: There is no NVIDIA card, or no such file.
        UntrustedError: It is not trusted.
        WeightsError: It is damaged, or made by another version of TensorRT or on another kind of card.
    """
    trt = tensorrt_module()
    files = admit(source, format="tensorrt", trust=trust)
    engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(files.data)
    if engine is None:
        raise WeightsError(
            f"{files.path} cannot be read by TensorRT {trt.__version__} on this card",
            remedy="An engine fits the version and the kind of card that made it: export it again here.",
        )
    return TensorRTGraph(engine, path=files.path)
