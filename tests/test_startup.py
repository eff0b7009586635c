"""The first answer of the program stays light, whatever plugins are installed."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from fake_plugins import run_python, write_distribution
from flicker import flicker_video
from test_house import HEAVY, LOADED
from videos import PlacedFace

pytestmark = pytest.mark.integration

REPOSITORY_PLUGINS = sorted(
    path.parent
    for path in (Path(__file__).resolve().parent.parent / "plugins").glob("*/pyproject.toml")
)
GREEDY = """
import {heavy}
from synctool import hookimpl

@hookimpl
def synctool_losses():
    return []
"""


def with_all_plugins(site: Path) -> dict[str, str]:
    """An environment in which all plugins of the repository are installed, in whatever state it is."""
    for folder in REPOSITORY_PLUGINS:
        text = (folder / "pyproject.toml").read_text("utf-8")
        name = re.search(r'^name = "(.+)"$', text, re.M).group(1)
        entries = re.search(
            r"^\[project\.entry-points\.synctool\]\n((?:.+\n?)+)", text, re.M
        ).group(1)
        info = site / f"{name.replace('-', '_')}-0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0\n")
        (info / "entry_points.txt").write_text("[synctool]\n" + entries.replace('"', ""))
    sources = [str(folder / "src") for folder in REPOSITORY_PLUGINS]
    return {"PYTHONPATH": os.pathsep.join([str(site), *sources])}


def loaded_by(words: list[str], env: dict[str, str]) -> tuple[list[str], str]:
    """The heavy packages that a command loads, and what it prints."""
    code = f"from synctool.cli.app import main\nassert main({words!r}) == 0"
    done = run_python(LOADED.format(before=code, heavy=sorted(HEAVY)), env=env)
    assert done.returncode == 0, done.stderr
    *printed, last = done.stdout.splitlines()
    return json.loads(last), "\n".join(printed)


@pytest.mark.parametrize(
    "words",
    [["--help"], ["plugins", "list"], ["plugins", "--help"], ["backbones"], ["detect", "--help"]],
    ids=" ".join,
)
def test_nothing_heavy_is_loaded_beside_all_plugins(tmp_path: Path, words: list[str]) -> None:
    heavy, printed = loaded_by(words, with_all_plugins(tmp_path))
    assert heavy == []
    if words == ["plugins", "list"]:
        for folder in REPOSITORY_PLUGINS:
            (line,) = [x for x in printed.splitlines() if f"synctool-plugin-{folder.name} " in x]
            assert " ok " in line


def test_a_greedy_plugin_would_be_seen(tmp_path: Path) -> None:
    write_distribution(tmp_path, "sync-greedy", code=GREEDY.format(heavy="numpy"))
    heavy, _ = loaded_by(["--help"], {"PYTHONPATH": str(tmp_path)})
    assert heavy == ["numpy"]


def test_measuring_loads_no_slow_part_of_scipy(tmp_path: Path) -> None:
    """Each would take longer than a short video."""
    video = flicker_video(
        tmp_path / "a.mp4",
        seconds=9,
        faces=lambda t: [PlacedFace(160, 90, 90)],
        size=(320, 180),
    )
    done = run_python(
        "import sys\n"
        "from synctool.cli.app import main\n"
        f"assert main(['detect', {str(video)!r}, '--json', 'r.json', '--quiet']) in (0, 3)\n"
        "slow = ('scipy.signal', 'scipy.stats', 'scipy.interpolate', 'scipy.integrate')\n"
        "print([name for name in slow if name in sys.modules])\n",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["[]"]
    assert json.loads((tmp_path / "r.json").read_text("utf-8"))["tracks"]
