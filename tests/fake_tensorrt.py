"""A ``tensorrt`` that behaves as its documentation says, with onnxruntime in the card's place.

What it holds for certain: the order of calls, shapes outside of the profile that are refused, addresses
that must be given, errors that are told by ``False`` and ``None``. Nothing here was compared with a card.
"""

from __future__ import annotations

import ctypes
import json
from enum import Enum
from types import SimpleNamespace
from typing import Any

import numpy as np

__version__ = "11.4.0"
MAGIC = b"engine"


class Logger:
    ERROR = 1

    def __init__(self, severity: int) -> None:
        self.severity = severity


class NetworkDefinitionCreationFlag(int, Enum):
    STRONGLY_TYPED = 1


class BuilderFlag(Enum):
    TF32 = 6
    DISABLE_TIMING_CACHE = 5


class TensorIOMode(Enum):
    INPUT = 1
    OUTPUT = 2


class OnnxParser:
    unreadable = ""
    """Operator that it does not know."""

    def __init__(self, network: SimpleNamespace, logger: Logger) -> None:
        self.network = network
        self.num_errors = 0

    def parse(self, graph: bytes) -> bool:
        import onnx

        nodes = onnx.load_from_string(graph).graph.node
        if any(node.op_type == self.unreadable for node in nodes):
            self.num_errors = 1
            return False
        self.network.graph = graph
        return True

    def get_error(self, index: int) -> SimpleNamespace:
        assert index == 0
        return SimpleNamespace(
            desc=lambda: "no importer registered for op", node_operator=lambda: self.unreadable
        )


class Profile:
    def __init__(self) -> None:
        self.shapes: dict[str, tuple[tuple[int, ...], ...]] = {}

    def set_shape(self, name: str, *shapes: tuple[int, ...]) -> None:
        least, usual, most = shapes
        assert all(a <= b <= c for a, b, c in zip(least, usual, most))
        self.shapes[name] = shapes


class Config:
    def __init__(self) -> None:
        self.flags = {BuilderFlag.TF32}
        self.profiles: list[Profile] = []

    def set_flag(self, flag: BuilderFlag) -> None:
        self.flags.add(flag)

    def clear_flag(self, flag: BuilderFlag) -> None:
        self.flags.discard(flag)

    def add_optimization_profile(self, profile: Profile) -> None:
        self.profiles.append(profile)


class Builder:
    full = False
    """Whether no engine can be built."""

    def __init__(self, logger: Logger) -> None:
        pass

    def create_network(self, flags: int) -> SimpleNamespace:
        return SimpleNamespace(flags=flags, graph=b"")

    def create_builder_config(self) -> Config:
        return Config()

    def create_optimization_profile(self) -> Profile:
        return Profile()

    def build_serialized_network(self, network: SimpleNamespace, config: Config) -> bytes | None:
        assert network.flags == 1 << int(NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        assert config.flags == {BuilderFlag.DISABLE_TIMING_CACHE}
        (profile,) = config.profiles
        told = json.dumps(profile.shapes).encode()
        return None if self.full else MAGIC + len(told).to_bytes(4, "big") + told + network.graph


class Runtime:
    def __init__(self, logger: Logger) -> None:
        pass

    def deserialize_cuda_engine(self, data: bytes) -> Engine | None:
        return Engine(data) if data.startswith(MAGIC) else None


class Engine:
    def __init__(self, data: bytes) -> None:
        import onnxruntime

        length = int.from_bytes(data[6:10], "big")
        self.shapes = json.loads(data[10 : 10 + length])
        self.session = onnxruntime.InferenceSession(data[10 + length :])
        self.inputs = [entry.name for entry in self.session.get_inputs()]
        self.outputs = [entry.name for entry in self.session.get_outputs()]

    @property
    def num_io_tensors(self) -> int:
        return len(self.inputs) + len(self.outputs)

    def get_tensor_name(self, index: int) -> str:
        return [*self.inputs, *self.outputs][index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self.inputs else TensorIOMode.OUTPUT

    def create_execution_context(self) -> Context:
        return Context(self)


class Context:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        least, _, most = self.engine.shapes[name]
        fits = all(a <= n <= b for a, n, b in zip(least, shape, most))
        if fits:
            self.shapes[name] = shape
        return fits

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._outputs()[self.engine.outputs.index(name)].shape

    def execute_async_v3(self, stream: int) -> bool:
        for name, found in zip(self.engine.outputs, self._outputs()):
            ctypes.memmove(self.addresses[name], found.ctypes.data, found.nbytes)
        return True

    def _outputs(self) -> list[Any]:
        given = {}
        for name, shape in self.shapes.items():
            data = (ctypes.c_float * int(np.prod(shape))).from_address(self.addresses[name])
            given[name] = np.array(data, np.float32).reshape(shape)
        return [np.ascontiguousarray(x) for x in self.engine.session.run(None, given)]
