"""A small ``fcn-cls`` in which everything does something, and its ONNX graphs: exported once in a run."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import nn

from synctool.networks.build import build
from synctool.networks.names import model_spec
from synctool.plugins.specs import BackboneSpec

GRAPHS = ("video", "audio", "head")
METADATA = {"synctool": '{"backbone": "fcn-cls"}', "backbone": "fcn-cls"}
Shared = Callable[[str, Callable[[Path], None]], Path]
"""The fixture ``shared``."""


@cache
def lively() -> tuple[BackboneSpec, nn.Module]:
    """The network and its spec; nobody may change it."""
    torch.manual_seed(0)
    built, network = build("fcn-cls", **model_spec("fcn-cls").small)
    nn.init.normal_(network.head.layers[-1].weight, std=0.1)
    network.train()
    with torch.no_grad():
        for _ in range(20):  # statistics for the normalisations
            network.encode_video(torch.rand(2, 1, 8, 72, 72))
            network.encode_audio(torch.randn(2, 1, 64, 32))
    return built, network.eval()


def onnx_graphs(shared: Shared) -> Path:
    """A folder with ``video.onnx``, ``audio.onnx`` and ``head.onnx``."""
    from synctool.exporting.formats.onnx_writer import write
    from synctool.exporting.formats.parts import graph_parts

    def export(folder: Path) -> None:
        for part in graph_parts(*lively(), parts=GRAPHS):
            write(part, folder / f"{part.name}.onnx", metadata=METADATA)

    return shared("onnx-graphs", export)
