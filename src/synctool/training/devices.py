"""Where and how exactly a network is trained: device, precision, processes, through Lightning Fabric."""

from __future__ import annotations

import atexit
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from synctool.errors import UsageError
from synctool.training import replicas

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PRECISIONS: Mapping[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "float32": "32-true",
    "bfloat16": "bf16-mixed",
    "float16": "16-mixed",
}


def choose_precision(name: str, device: torch.device) -> str:
    """``float32``, ``bfloat16`` or ``float16``; ``auto`` takes bfloat16 where the hardware has it.

    Raises:
        UsageError: The device cannot.
    """
    if name == "auto":
        return "bfloat16" if has_bfloat16(device) else "float32"
    if name == "float16" and device.type != "cuda":
        raise UsageError(
            f"float16 is for NVIDIA devices, and this is {device.type}",
            remedy="Use --precision auto.",
        )
    if name == "bfloat16" and device.type == "mps":
        raise UsageError("bfloat16 does not train on mps", remedy="Use --precision auto.")
    return name


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies in bfloat16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Emulated bfloat16 is slower than float32: only where the processor multiplies in it.
    return device.type == "cpu" and getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()


def arrange_images(model: nn.Module, device: torch.device) -> None:
    """Lay the weights of 2-D convolutions out with their channels last, which is faster; others refuse that.

    oneDNN 3.12 writes beyond its memory in the gradient of a strided 1x1 convolution of 2 to 7 such
    channels, on processors with AVX2 and no AVX-512: a network with one stays as it is there.
    """
    images = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    if device.type == "cpu" and any(map(_has_faulty_gradient, images)):
        return
    for layer in images:
        layer.to(memory_format=torch.channels_last)


def _has_faulty_gradient(layer: nn.Conv2d) -> bool:
    return 1 < layer.in_channels < 8 and layer.kernel_size == (1, 1) and max(layer.stride) > 1


def launched() -> tuple[int, int] | None:
    """Processes on this machine and machines, where ``torchrun`` has started this one."""
    if not torch.distributed.is_torchelastic_launched():
        return None
    here = int(os.environ["LOCAL_WORLD_SIZE"])
    return here, int(os.environ["WORLD_SIZE"]) // here


def make_fabric(
    device: torch.device, *, precision: str, devices: int = 1, nodes: int = 1
) -> Fabric:
    """Fabric for one process or several; under ``torchrun`` as many as that started.

    Args:
        device: Kind of device.
        precision: Of ``choose_precision``.
        devices: Processes on this machine, each with a device of its own; on the processor, each
            with a share of it.
        nodes: Machines.

    Raises:
        UsageError: There are not so many devices.
    """
    devices, nodes = launched() or (devices, nodes)
    if device.type == "mps" and devices * nodes > 1:
        raise UsageError("mps trains in one process", remedy="Leave --devices out.")
    if device.type == "cuda" and devices > torch.cuda.device_count():
        raise UsageError(
            f"{devices} devices are asked for, and {torch.cuda.device_count()} are here",
            remedy="Give a smaller --devices.",
        )
    with _quiet():
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy

        several = DDPStrategy(find_unused_parameters=True)  # losses may leave a part out
        fabric = Fabric(
            accelerator=device.type,
            devices=devices,
            num_nodes=nodes,
            precision=PRECISIONS[precision],
            strategy=several if devices * nodes > 1 else "auto",
        )
        fabric.launch()
    if fabric.world_size > 1:
        # A process that ends with its connections open is ended by an error.
        atexit.register(replicas.leave)
    return fabric


@contextmanager
def _quiet() -> Iterator[None]:
    import lightning_fabric  # which sets the level of its log when it is imported

    # What it says of itself (precision, processes) is in the plan of the run.
    log = logging.getLogger(lightning_fabric.__name__)
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
