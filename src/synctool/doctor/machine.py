"""Cores, memory, and what else a model can run on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from synctool.cores import machine_cores, usable_cores
from synctool.disk_space import amount
from synctool.doctor.findings import Finding
from synctool.extras import is_installed
from synctool.onnxruntime_import import onnxruntime_module

_NVIDIA_S = 10.0
_LITTLE_MEMORY = 2_000_000_000
_THREAD_SETTINGS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
)


def machine() -> Iterator[Finding]:
    """Cores and memory of this process."""
    told = f"{usable_cores()} of {machine_cores()} usable"
    if hasattr(os, "sched_getaffinity"):
        told += f", affinity {_ranges(sorted(os.sched_getaffinity(0)))}"
    yield Finding("Machine", "cores", "ok", told)
    if model := _cpu():
        yield Finding("Machine", "processor", "ok", model)
    if memory := _memory():
        little = memory < _LITTLE_MEMORY
        yield Finding(
            "Machine", "memory", "warning" if little else "ok", amount(memory),
            "Measure one video at a time (--jobs 1)." if little else "",
        )  # fmt: skip
    for name in _THREAD_SETTINGS:
        if name in os.environ:
            yield Finding("Machine", name, "ok", os.environ[name] or "(empty)")


def devices() -> Iterator[Finding]:
    """What runs models: onnxruntime's providers, and PyTorch's build beside the graphics cards."""
    providers = onnxruntime_module().get_available_providers()
    yield Finding("Devices", "onnxruntime", "ok", ", ".join(providers))
    cards = _nvidia_cards()
    for number, card in enumerate(cards):
        yield Finding("Devices", f"NVIDIA card {number}", "ok", card)
    built = torch_build()
    if built is None:
        return
    torch, cuda = built
    told = f"{torch}, built for CUDA {cuda}" if cuda else f"{torch}, built without CUDA"
    lacking = bool(cards) and not cuda
    yield Finding(
        "Devices", "PyTorch", "warning" if lacking else "ok", told,
        "The card is not used: install a CUDA build, see https://pytorch.org/get-started/locally/"
        if lacking
        else "",
    )  # fmt: skip


def torch_build() -> tuple[str, str] | None:
    """Version of PyTorch, and of the CUDA that it is built for ("" for none); None without PyTorch.

    Reads a file of the package, as importing it takes seconds.
    """
    spec = find_spec("torch") if is_installed("torch") else None
    if spec is None or not spec.origin:
        return None
    try:
        text = (Path(spec.origin).parent / "version.py").read_text("utf-8")
    except OSError:
        return "version not known", ""
    found = {
        name: match.group(1)
        for name in ("__version__", "cuda")
        if (match := re.search(rf"^{name}[^=\n]*= *'([^']*)'", text, re.MULTILINE))
    }
    return found.get("__version__", "version not known"), found.get("cuda", "")


def _nvidia_cards() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    asked = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=_NVIDIA_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ["nvidia-smi is here, and does not answer"]
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        import platform

        return platform.processor()
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match.group(1).strip() if match else ""


def _memory() -> int:
    """Bytes of the machine; 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0


def _ranges(numbers: list[int]) -> str:
    """``0-3, 6``."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ", ".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)
