"""The documentation says what the program does."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest

from fake_plugins import run_synctool, write_distribution
from synctool.errors import EXIT_INCONCLUSIVE, EXIT_OK, EXIT_UNEXPECTED
from synctool.evaluation.metric_specs import FAMILIES, METRICS

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("tool", ["command_reference", "house"])
def test_pages_made_from_the_code_are_current(tool: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / f"{tool}.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_page_of_the_architecture_names_files_and_all_rooms() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    package = ROOT / "src" / "synctool"
    named = set(re.findall(r"`([\w/]+(?:\.py|/))`", text)) - {"export/"}
    assert not [path for path in named if not any((up / path).exists() for up in (package, ROOT))]
    rooms = {path.parent.name for path in package.glob("*/__init__.py")} - {"untrusted"}
    assert rooms <= set(re.findall(r"^\| (\w+) \|", text, re.M))


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text("utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not broken


def test_the_notice_names_every_package_of_the_base_installation() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8").split("\ndependencies = [", 1)[1]
    wanted = set(re.findall(r'^    "([\w-]+)', project.split("\n]", 1)[0], re.M))
    named = set(re.findall(r"`([\w-]+)`", (ROOT / "NOTICE.md").read_text("utf-8")))
    assert len(wanted) > 15 and not wanted - named


def test_the_site_has_every_page() -> None:
    listed = set(re.findall(r": ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.M))
    assert {page.name for page in (ROOT / "docs").glob("*.md")} <= listed


def test_the_readme_has_one_command_to_install_and_one_to_test() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    for marker in ("<!-- install command -->", "<!-- test command -->"):
        after = text.split(marker, 1)[1].lstrip()
        block = re.match(r"```sh\n(.+?)\n```", after, re.S)
        assert block and "\n" not in block.group(1)


def test_scripts_that_pages_name_exist() -> None:
    named = {
        script
        for page in PAGES
        for script in re.findall(r"python ((?:benchmarks|tools)/\w+\.py)", page.read_text("utf-8"))
    }
    assert named, "no page names a script"
    assert not [script for script in named if not (ROOT / script).is_file()]


def test_every_metric_has_its_paragraph() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    for family, title in FAMILIES.items():
        section = " ".join(text.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0].split())
        paragraphs = re.findall(
            r"\*\*(`.+?`)\*\* \((.+?)\): (.+?) Source: (.+?)\.(?= \*\*|$)", section
        )
        told = {name: more for names, *more in paragraphs for name in re.findall("`(.+?)`", names)}
        expected = {name: spec for name, spec in METRICS.items() if spec.family == family}
        assert list(told) == list(expected)
        for name, spec in expected.items():
            facts, definition, source = told[name]
            length = f"of {name.partition('@')[2]} frames"
            assert definition == spec.definition.replace(length, "of N frames"), name
            assert source == spec.source, name
            assert facts.startswith(spec.unit or "no unit"), name
            better = {True: "higher is better", False: "lower is better", None: "0 is best"}
            assert better[spec.higher_is_better] in facts, name


# ------------------------------------------------------------------------------------- the plugins

PLUGINS = (ROOT / "docs" / "plugins.md").read_text("utf-8")
STEPS = re.findall(r"<!-- (\w+)(?: (\S+))? -->\n```\w*\n(.+?)```", PLUGINS, re.S)
"""What the page marks to be tried: kind, argument, block."""


def test_the_page_of_plugins_names_all_of_the_repository() -> None:
    there = {path.parent.name for path in (ROOT / "plugins").glob("*/pyproject.toml")}
    if not there:
        pytest.skip("the plugins lie beside the package in the repository only")
    named = re.findall(r"\]\(\.\./plugins/([\w-]+)/README\.md\)", PLUGINS)
    assert sorted(named) == sorted(there)


def test_the_examples_of_the_page_are_plugins(tmp_path: Path) -> None:
    examples = {name: code for kind, name, code in STEPS if kind == "plugin"}
    assert len(examples) == 2
    for name, code in examples.items():
        write_distribution(tmp_path, name.replace("_", "-"), code=code)
    done = run_synctool("plugins", "list", "--json", "-", path=tmp_path, cwd=tmp_path)
    found = {r["module"]: (r["status"], r["gives"]) for r in json.loads(done.stdout)}
    assert found["synctool_plugin_middle"] == ("ok", {"synctool_face_detectors": ["middle"]})
    assert found["synctool_plugin_hello"] == ("ok", {})
    assert run_synctool("hello", path=tmp_path, cwd=tmp_path).stdout == "hello\n"


ONE_AFTER_THE_OTHER = """
import json, sys
from synctool.cli.app import main
for words, fine in json.loads(sys.argv[1]):
    if (code := main(words)) not in fine:
        sys.exit(f"synctool {' '.join(words)} ended with {code}")
"""


@pytest.mark.slow
def test_the_walk_through_of_the_page_works(tmp_path: Path) -> None:
    pytest.importorskip("pip")
    pytest.importorskip("hatchling")
    from plugin_environment import BRIEF_TRAINING, fresh_environment, said, work_folder

    place = work_folder(tmp_path)
    environment = fresh_environment(tmp_path / "environment")
    # What is installed here beside synctool may be called lips, too, and takes time to load.
    env = {"SYNCTOOL_PLUGINS": "lips", **BRIEF_TRAINING}
    printed, commands = "", []

    def run(lines: list[str], *, fails: bool = False) -> None:
        """Commands of synctool that follow each other share a process: its start takes the longest."""
        nonlocal printed
        for together, group in groupby(lines, lambda line: line.startswith("synctool ")):
            steps = []
            for line in group:
                inconclusive = [EXIT_INCONCLUSIVE] if " detect " in line else []
                fine = [EXIT_UNEXPECTED] if fails else [EXIT_OK, *inconclusive]
                steps.append((shlex.split(line), fine))
                commands.append(" ".join(line.split()[:3]))
            if together:
                given = json.dumps([(words[1:], fine) for words, fine in steps])
                steps = [(["python", "-c", ONE_AFTER_THE_OTHER, given], [EXIT_OK])]
            for words, fine in steps:
                done = environment.run(*words, cwd=place, env=env)
                assert done.returncode in fine, said(done)
                printed = done.stdout

    waiting: list[str] = []  # since the last change of a file
    for kind, argument, block in STEPS:
        if kind == "run":
            waiting += block.splitlines()
            continue
        run(waiting)
        waiting = []
        if kind == "fails":
            run(block.splitlines(), fails=True)
        elif kind == "prints":
            assert block in printed
        elif kind == "change":
            old = "".join(x[1:] for x in block.splitlines(True) if x.startswith("-"))
            new = "".join(x[1:] for x in block.splitlines(True) if x.startswith("+"))
            text = (place / argument).read_text("utf-8")
            assert text.count(old) == 1
            (place / argument).write_text(text.replace(old, new), "utf-8")
    run(waiting)
    assert {"synctool plugins new", "synctool train --backbone", "synctool detect talk.mp4"} <= {
        *commands
    }
    assert "python -m pytest" in commands and "pip install -e" in commands
    assert list((place / "dist").glob("synctool_plugin_lips-0.1.0-*.whl"))
