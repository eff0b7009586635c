"""A plugin that is installed by pip into a fresh environment works from one end to the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plugin_environment import (
    BRIEF_TRAINING,
    FreshEnvironment,
    fresh_environment,
    said,
    work_folder,
)
from synctool.errors import EXIT_INCONCLUSIVE, EXIT_OK

pytest.importorskip("pip")
pytest.importorskip("hatchling")

GRAPH = Path(__file__).resolve().parent.parent / "plugins" / "graph"
PAIR = "graph+fcn-mel"
ONLY = {"SYNCTOOL_PLUGINS": "graph"}
TRAIN_AND_DETECT = f"""
import sys
from synctool.cli.app import main
given = ["--backbone", "{PAIR}"]
code = main(["train", *given, "--data", "processed", "--out", "run"])
given += ["--weights", "run/best.safetensors", "--json", "r.json"]
sys.exit(code or main(["detect", "talk.mp4", *given]))
"""
"""In one process: the start of one takes longer than either."""
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not GRAPH.is_dir(), reason="the plugins lie beside the package in the repository only"
    ),
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> FreshEnvironment:
    """An environment with the plugin ``graph``, installed from its folder."""
    made = fresh_environment(tmp_path_factory.mktemp("environment"))
    done = made.run("pip", "install", GRAPH, cwd=made.folder)
    assert done.returncode == 0, said(done)
    return made


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny ``processed`` and a video ``talk.mp4``."""
    return work_folder(tmp_path_factory.mktemp("work"))


def test_the_environment_has_a_copy_of_its_own(installed: FreshEnvironment, place: Path) -> None:
    code = "import synctool_plugin_graph as plugin; print(plugin.__file__)"
    done = installed.run("python", "-c", code, cwd=place)
    assert Path(done.stdout.strip()).is_relative_to(installed.folder), said(done)


def test_it_is_listed_with_what_it_gives(installed: FreshEnvironment, place: Path) -> None:
    done = installed.run("synctool", "plugins", "list", "--json", "-", cwd=place)
    assert done.returncode == EXIT_OK, said(done)
    (record,) = [r for r in json.loads(done.stdout) if r["name"] == "graph"]
    assert (record["distribution"], record["status"]) == ("synctool-plugin-graph", "ok")
    assert record["gives"] == {"synctool_backbones": ["graph", "graph-cls"]}
    done = installed.run("synctool", "backbones", cwd=place, env=ONLY)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("graph ")]
    assert line.split()[1] == "video"
    done = installed.run("synctool", "backbones", cwd=place, env={"SYNCTOOL_PLUGINS": ""})
    assert not [line for line in done.stdout.splitlines() if line.startswith("graph ")]


@pytest.mark.slow
def test_it_trains_and_measures(installed: FreshEnvironment, place: Path) -> None:
    weights = "run/best.safetensors"
    done = installed.run("python", "-c", TRAIN_AND_DETECT, cwd=place, env=ONLY | BRIEF_TRAINING)
    assert done.returncode in (EXIT_OK, EXIT_INCONCLUSIVE), said(done)
    assert f"weights: {weights}" in done.stdout.splitlines()
    result = json.loads((place / "r.json").read_text())
    assert result["backbone"] == PAIR
    assert result["weights"].startswith(Path(weights).stem)
    assert len(result["tracks"]) == 1, "the face was found and measured"
    assert result["tracks"][0]["end_s"] > 0.5
