"""Fixtures for the videos that lie beside the project, where there are any."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background: programs that the tests start must feel Ctrl-C all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)

if "PYTEST_XDIST_WORKER" in os.environ:
    # Each worker has a core of its own; threads of all of them on all cores only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Tests that load onnxruntime themselves report nothing either.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if "SYNCTOOL_TRUST_FILE" not in os.environ:
    # What tests trust is not what the user of this machine trusts.
    _trust = tempfile.TemporaryDirectory(prefix="synctool-tests-")
    os.environ["SYNCTOOL_TRUST_FILE"] = os.path.join(_trust.name, "trusted.json")

_SHARED = Path(__file__).resolve().parents[2] / "shared"


def _folder(name: str, variable: str) -> Path:
    folder = Path(os.environ.get(variable) or _SHARED / name)
    if not folder.is_dir():
        pytest.skip(f"no {name} here: {variable} names no folder and ../shared/{name} is not there")
    return folder


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Real talking faces: ``SYNCTOOL_CORPUS`` or ``../shared/corpus``; skips where there are none."""
    return _folder("corpus", "SYNCTOOL_CORPUS")


@pytest.fixture(scope="session")
def clips() -> Path:
    """Videos with a known answer: ``SYNCTOOL_CLIPS`` or ``../shared/clips``; skips where there are none."""
    return _folder("clips", "SYNCTOOL_CLIPS")


@pytest.fixture(scope="session")
def shared(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, Callable[[Path], None]], Path]:
    """Folders by name, each filled once in a run for all workers; nobody may change what is in them."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def folder(name: str, fill: Callable[[Path], None]) -> Path:
        place, part = root / f"shared-{name}", root / f"shared-{name}.part"
        with FileLock(f"{place}.lock"):
            if not place.exists():
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir()
                fill(part)
                part.rename(place)
        return place

    return folder
