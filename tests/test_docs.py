"""The documentation says what the program does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_command_reference_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "command_reference.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text("utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not broken


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
