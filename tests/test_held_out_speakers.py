"""The benchmark command: what it says when the videos are not there, and how it writes the page."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from benchmark_modules import benchmark_modules
from synctool.errors import MissingError
from synctool.evaluation.bootstrap import Interval

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tables", BENCHMARKS / "tables.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["tables"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the script in this process; gives its exit code."""

    def started(*words: str) -> int:
        with benchmark_modules("held_out_speakers") as scripts:
            monkeypatch.setattr(sys, "argv", ["held_out_speakers.py", *words])
            monkeypatch.chdir(tmp_path)
            return scripts.held_out_speakers.main()

    return started


def test_without_the_videos_it_says_so(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--corpus", "none", "--clips", "none", "--processed", "none") == 5
    out, err = capsys.readouterr()
    said = " ".join(err.split())
    assert "no held-out people" in said
    assert "synctool preprocess" in said
    assert not out.strip()


def test_only_known_sections_run(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run("--only", "multiway,guess")
    assert "no such section: guess" in capsys.readouterr().err


def test_the_page_keeps_what_people_wrote(tables: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    page.write_text(f"# Results\n\nby hand\n\n{tables.BEGIN}\nold\n{tables.END}\n\nmore by hand\n")
    table = tables.Table(
        "T", ["", "5 frames"], [["all", "0.50"]], note="n.", heading="H", after="a"
    )
    tables.write_section(page, table.markdown())
    text = page.read_text()
    assert text.startswith("# Results\n\nby hand\n\n")
    assert text.endswith("\n\nmore by hand\n")
    assert "old" not in text
    assert "### H\n\n**T.** n.\n\n|  | 5 frames |\n|---|---|\n| all | 0.50 |\n\na\n" in text
    tables.write_section(page, table.markdown())
    assert page.read_text() == text


@pytest.mark.parametrize("text", ["", "# Results\n", "{end}{begin}", "{begin}{begin}{end}"])
def test_a_page_without_its_markers_is_left_alone(
    tables: ModuleType, tmp_path: Path, text: str
) -> None:
    page = tmp_path / "results.md"
    page.write_text(text.format(begin=tables.BEGIN, end=tables.END))
    before = page.read_text()
    with pytest.raises(MissingError, match="no place for the results"):
        tables.write_section(page, "new")
    assert page.read_text() == before


def test_the_documentation_has_the_place(tables: ModuleType) -> None:
    text = (BENCHMARKS.parent / "docs" / "results.md").read_text("utf-8")
    assert text.count(tables.BEGIN) == text.count(tables.END) == 1


def test_shares_are_shown_with_their_interval(tables: ModuleType) -> None:
    assert tables.share(Interval(0.876, 0.8, 0.951, "people", 7, 20)) == "0.88 [0.80, 0.95]"
    assert tables.share(None) == "-"
    assert "over 7 people" in tables.drawn(Interval(0.5, 0, 1, "people", 7, 20))
    few = tables.drawn(Interval(0.5, 0, 1, "clips", 20, 20))
    assert "over 20 clips (too few people" in few
