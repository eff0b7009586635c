"""An interpreter that finds nothing but what the base installation brings, without installing anything.

``block(folder)`` writes a ``sitecustomize.py`` that hides every module of every other distribution, so that
worker processes begin with it, too. What the base brings is read from ``pyproject.toml`` and followed
through the requirements of the installed distributions.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
_ALIKE = {"opencv-python": "opencv-python-headless"}
"""Distributions that give the same modules; any of them may be the installed one."""
_SITECUSTOMIZE = """
import sys

HIDDEN = frozenset({hidden!r})


class Hidden:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Hidden)
"""


def block(folder: Path) -> dict[str, str]:
    """Write the ``sitecustomize.py``; returns the environment for interpreters that begin with it."""
    folder.mkdir(parents=True, exist_ok=True)
    text = _SITECUSTOMIZE.format(hidden=sorted(hidden_modules()))
    (folder / "sitecustomize.py").write_text(text, "utf-8")
    path = [str(folder), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, path))}


def hidden_modules() -> set[str]:
    """Top-level modules that are installed and that the base does not bring."""
    kept = base_distributions() | {"synctool", "pip", "setuptools"}
    return {
        module
        for module, its in owners().items()
        if not any(normal(owner) in kept or "synctool" in owner for owner in its)
    }


@cache
def owners() -> Mapping[str, list[str]]:
    """The distributions of each installed top-level module; to find them takes a while."""
    return packages_distributions()


def base_distributions() -> set[str]:
    """The distributions that ``pip install synctool`` brings."""
    found: set[str] = set()
    waiting = list(project()["dependencies"])
    while waiting:
        requirement = Requirement(waiting.pop())
        name = normal(requirement.name)
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if not wanted or name in found:
            continue
        found.add(name)
        try:
            waiting += requires(name) or []
        except PackageNotFoundError:  # another that gives the same is installed
            continue
    return found


def project() -> dict[str, Any]:
    """The table ``project`` of ``pyproject.toml``."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def normal(name: str) -> str:
    """The name of a distribution in its normal form."""
    normal = re.sub(r"[-_.]+", "-", name).lower()
    return _ALIKE.get(normal, normal)
