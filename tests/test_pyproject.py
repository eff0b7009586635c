"""What the distributions ask for: PyTorch as synctool itself does, and on conda-forge the same packages."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

import synctool

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
_TORCH = re.compile(r'"torch>=([0-9.]+)"')
FILES = [
    *ROOT.glob("plugins/*/pyproject.toml"),
    *ROOT.glob("src/synctool/plugins/templates/pyproject*"),
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_plugins_ask_for_the_pytorch_that_synctool_asks_for(path: Path) -> None:
    own = _TORCH.findall((ROOT / "pyproject.toml").read_text())
    assert len(own) == 1
    asked = _TORCH.findall(path.read_text())
    assert asked in ([], own)
    assert asked or '"torch' not in path.read_text()


# --------------------------------------------------------------------------- the conda recipe

_CONDA = {"opencv-python-headless": "py-opencv", "soundfile": "pysoundfile"}
"""Names of packages that conda-forge calls otherwise."""


def recipe() -> dict[str, Any]:
    yaml, jinja2 = pytest.importorskip("yaml"), pytest.importorskip("jinja2")
    path = ROOT / "recipe" / "meta.yaml"
    if not path.exists():
        pytest.skip("the recipe lies beside the package in the repository only")
    return yaml.safe_load(jinja2.Template(path.read_text("utf-8")).render(PYTHON="python"))


def test_the_conda_recipe_asks_for_what_the_package_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {f"python {project['requires-python']}"}
    for requirement in project["dependencies"]:
        name, bounds = re.fullmatch(r"([\w-]+)([^;]*)(?:;.*)?", requirement).groups()  # type: ignore[union-attr]
        wanted.add(f"{_CONDA.get(name, name)} {bounds}".strip())
    assert set(recipe()["requirements"]["run"]) == wanted


def test_the_conda_recipe_has_the_version_and_the_program() -> None:
    made = recipe()
    assert made["package"]["version"] == synctool.__version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    scripts = [f"{name} = {target}" for name, target in project["scripts"].items()]
    assert made["build"]["entry_points"] == scripts
    assert made["about"]["summary"] == project["description"]
