"""Export formats of a plugin: a file that names a module, which PyTorch runs; audio ones and broken ones."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import flicker
from fake_plugins import FakePlugin
from synctool.data.samples import PORTRAIT_PX, Sample, SampleInfo
from synctool.errors import ExportError, MissingError, UsageError
from synctool.exporting.formats.graph import GraphPart
from synctool.models.correlation import correlate_window, inside_window
from synctool.plugins import loader as plugins
from synctool.plugins.specs import ExporterSpec
from synctool.types import AUDIO_HZ

NETWORK = replace(flicker.SPEC, name="scored", factory="fake_exporters:Scored")
WRITTEN: list[dict[str, Any]] = []
"""What the writers were given, call by call."""
_MODULES: dict[str, GraphPart] = {}


class Scored(flicker.Flicker):
    """The flicker network, with a head that can be exported."""

    margin = 0

    def score_window(
        self, audio: Tensor, inside: Tensor, video_features: Tensor, *, outside: float
    ) -> Tensor:
        """See ``synctool.models.heads.WindowHead``."""
        volume = correlate_window(audio, video_features) * self.scale
        return volume.masked_fill(~inside_window(inside, video_features.shape[-1]), outside)


class Unspeakable(Exception):
    """Cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("I have no words")


def write(
    part: GraphPart,
    path: Path,
    *,
    precision: str,
    metadata: Mapping[str, str],
    clips: Sequence[tuple[np.ndarray, ...]] | None,
) -> None:
    """Note the module under the name that the file holds."""
    token = f"{part.name} {len(_MODULES)}"
    _MODULES[token] = part
    WRITTEN.append(
        {"part": part.name, "precision": precision, "metadata": metadata, "clips": clips}
    )
    path.write_text(token)


def read(path: Path, *, threads: int) -> Callable[..., list[np.ndarray]]:
    """Run the module."""
    module = _MODULES[path.read_text()].module

    def run(*inputs: np.ndarray) -> list[np.ndarray]:
        with torch.inference_mode():
            out = module(*map(torch.from_numpy, inputs))
        return [o.numpy() for o in (out if isinstance(out, tuple) else (out,))]

    return run


def _changed(change: Callable[[np.ndarray], np.ndarray]) -> Callable[..., Any]:
    def opened(path: Path, *, threads: int) -> Callable[..., list[np.ndarray]]:
        run = read(path, threads=threads)
        return lambda *inputs: [change(out) for out in run(*inputs)]

    return opened


read_late = _changed(lambda out: np.roll(out, 4, axis=-1))
read_coarse = _changed(lambda out: out * np.float32(1.01))
read_nan = _changed(lambda out: out * np.float32("nan"))
read_short = _changed(lambda out: out[..., :-1])
read_one = _changed(lambda out: out[:1])


def write_fixed(part: GraphPart, path: Path, **given: Any) -> dict[str, tuple[int, ...]]:
    """As ``write``, but for one window of the example's length."""
    write(part, path, **given)
    return {i.name: (1, *i.example.shape[1:]) for i in part.inputs}


def read_fixed(path: Path, *, threads: int) -> Callable[..., list[np.ndarray]]:
    """Takes no other length."""
    run, part = read(path, threads=threads), _MODULES[path.read_text()]

    def checked(*inputs: np.ndarray) -> list[np.ndarray]:
        for given, known in zip(inputs, part.inputs):
            if given.shape[1:] != known.example.shape[1:]:
                raise UsageError(f"{known.name} of {given.shape}")
        return run(*inputs)

    return checked


def read_nothing(path: Path, *, threads: int) -> Any:
    """Cannot."""
    raise Unspeakable


def read_without_card(path: Path, *, threads: int) -> Any:
    """Needs something that is not here."""
    raise MissingError("there is no such card in this machine", remedy="Buy one.")


def write_nothing(part: GraphPart, path: Path, **given: Any) -> None:
    """Forget to write."""


def write_wrongly(part: GraphPart, path: Path, **given: Any) -> None:
    """Fail in a way of its own."""
    raise Unspeakable


def write_refused(part: GraphPart, path: Path, **given: Any) -> None:
    """Cannot write one of the operators."""
    raise ExportError(f"the {part.name} graph uses aten::magic", remedy="Use less magic.")


def write_half(part: GraphPart, path: Path, **given: Any) -> None:
    """Run out of disk in the second graph."""
    path.write_text("something")
    if part.name != "video":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def write_interrupted(part: GraphPart, path: Path, **given: Any) -> None:
    """Somebody presses Ctrl-C."""
    path.write_text("something")
    raise KeyboardInterrupt


def _format(name: str, *, writer: str = "write", reader: str = "read", **more: Any) -> ExporterSpec:
    given = {"summary": f"made up: {name}", "suffix": ".fake", "data_only": True, **more}
    return ExporterSpec(
        name=name,
        writer=f"fake_exporters:{writer}",
        reader=reader and f"fake_exporters:{reader}",
        **given,
    )


_ALL = ("float32", "float16", "int8-static", "int8-dynamic")
FORMATS = [
    _format("fake", precisions=_ALL),
    *(_format(f"fake-{n}", reader=f"read_{n}") for n in ("late", "coarse", "nan", "short", "one")),
    _format("fake-fixed", writer="write_fixed", reader="read_fixed"),
    _format("fake-unread", reader="read_nothing"),
    _format("fake-card", reader="read_without_card"),
    _format("fake-blind", reader=""),
    _format("fake-elsewhere", runs_on=("Plan9",)),
    *(
        _format(f"fake-{n}", writer=f"write_{n}")
        for n in ("nothing", "wrongly", "refused", "half", "interrupted")
    ),
    _format(
        "fake-tool", writes_with=("no_such_tool", "no_such.part"), requirement="synctool[magic]"
    ),
]


@contextmanager
def installed() -> Iterator[None]:
    """The built-in plugins, the networks, and these formats."""
    made = plugins.Plugins(only=())
    made.load(entry_points(group="synctool"))
    own = FakePlugin(synctool_backbones=[flicker.SPEC, NETWORK], synctool_exporters=FORMATS)
    made.register(own, name="fake-exporters")
    WRITTEN.clear()
    with plugins.use(made):
        yield


def flicker_sample(key: str, *, seed: int = 0, frames: int = 80, **facts: str) -> Sample:
    """A stored clip whose light and audio flicker together, half a second of audio round it."""
    at, lead_s = flicker.pattern(seed), 0.5
    levels = [140 if at((t + 0.5) / 25) else 110 for t in range(frames)]
    crops = np.broadcast_to(np.uint8(levels)[:, None, None], (frames, 16, 16)).copy()
    audio = flicker.flicker_audio(at, frames / 25 + 2 * lead_s, start_s=-lead_s)
    info = SampleInfo(
        key=key,
        video_path=f"{key}.mp4",
        track=0,
        first_tick=0,
        num_frames=frames,
        sound_lead=round(lead_s * AUDIO_HZ),
        crop="face",
        size_px=16,
        **{"speaker": key, "source": "made", "split": "", **facts},
    )
    portrait = np.full((PORTRAIT_PX, PORTRAIT_PX), 100, np.uint8)
    return Sample(info, crops, portrait, (audio * 32767).astype(np.int16))
