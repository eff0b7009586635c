"""Versions of synctool and of what it stands on, and whether each package can be imported."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from synctool._version import __version__
from synctool.doctor.findings import Finding
from synctool.doctor.missing_libraries import remedy_of
from synctool.errors import described
from synctool.extras import EXTRAS, installing, is_installed, missing_modules
from synctool.onnxruntime_import import onnxruntime_module

SECTION = "Versions"
_IMPORTED = {
    "numpy": "numpy",
    "scipy": "scipy",
    "av": "av",
    "opencv-python-headless": "cv2",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "safetensors": "safetensors",
    "soundfile": "soundfile",
    "msgspec": "msgspec",
}
"""What has compiled parts, which may not load: imported to see, by name of the distribution."""
_OPENCVS = (
    *("opencv-python", "opencv-contrib-python"),
    *("opencv-python-headless", "opencv-contrib-python-headless"),
)
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def packages() -> Iterator[Finding]:
    """Python, synctool, and the packages of the base installation."""
    where = Path(__file__).resolve().parents[1]
    yield Finding(SECTION, "synctool", "ok", f"{__version__} in {where}")
    python = f"{platform.python_version()} ({platform.python_implementation()}), {sys.executable}"
    yield Finding(SECTION, "python", "ok", python)
    yield Finding(SECTION, "system", "ok", f"{platform.platform()}, {platform.machine()}")
    opencv = [name for name in _OPENCVS if _version(name)]
    for requirement in _base():
        match = _NAME.match(requirement)
        if match is None:
            continue
        name = match.group()
        if name == "opencv-python-headless" and opencv:
            name = opencv[0]
        yield _package(name, requirement)
    if len(opencv) > 1:
        yield Finding(
            SECTION,
            "opencv",
            "warning",
            f"{' and '.join(opencv)} overwrite each other's files",
            f"pip uninstall {' '.join(opencv)} && pip install opencv-python-headless",
        )
    yield from _ffmpeg()


def extras() -> Iterator[Finding]:
    """The optional packages, by the extra that brings them; none is imported."""
    for extra, modules in EXTRAS.items():
        lacking = missing_modules(modules)
        if not lacking:
            first = modules[0]
            known = _version(first) or ""
            yield Finding(
                "Extras", extra, "ok", f"installed ({first} {known})" if known else "installed"
            )
        else:
            told = (
                "not installed" if len(lacking) == len(modules) else f"lacks {', '.join(lacking)}"
            )
            yield Finding("Extras", extra, "note", told, installing(extra))


def _package(name: str, requirement: str) -> Finding:
    found = _version(name)
    if found is None:
        return Finding(SECTION, name, "problem", "not installed", f"pip install '{requirement}'")
    if error := _import_error(name):
        return Finding(SECTION, name, "problem", f"{found} cannot be imported: {error}",
                       remedy_of(error, package=name))  # fmt: skip
    if not _fits(requirement, found):
        return Finding(
            SECTION, name, "warning", f"{found}, outside of {requirement}",
            f"pip install '{requirement}'",
        )  # fmt: skip
    return Finding(SECTION, name, "ok", found)


def _import_error(name: str) -> str:
    module = "cv2" if name in _OPENCVS else _IMPORTED.get(name)
    if module is None:
        return ""
    try:
        onnxruntime_module() if module == "onnxruntime" else import_module(module)
    except Exception as error:  # an ImportError, an OSError, or what a broken package raises
        return described(error)
    return ""


def _ffmpeg() -> Iterator[Finding]:
    import av

    versions = ", ".join(
        f"{name} {'.'.join(map(str, numbers))}"
        for name, numbers in av.library_versions.items()
        if name in ("libavcodec", "libavformat")
    )
    release = getattr(av, "ffmpeg_version_info", "")
    yield Finding(SECTION, "FFmpeg of av", "ok", f"{release}, {versions}".removeprefix(", "))


def _base() -> list[str]:
    """Requirements of the base installation, as the metadata of the installed package has them."""
    try:
        listed = requires("synctool") or []
    except PackageNotFoundError:
        return list(_IMPORTED)
    return sorted(text for text in listed if ";" not in text)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _fits(requirement: str, found: str) -> bool:
    if not is_installed("packaging"):  # which most packages bring, and this one needs not
        return True
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(requirement).specifier.contains(found, prereleases=True)
    except InvalidRequirement:
        return True
