"""Results in a notebook: what they show, tables, figures, iterating over many, arrays."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import numpy as np
import pytest

import synctool
from fake_results import made_result
from fake_trials import made_trial
from synctool import extras
from synctool.comparison.run import Comparison
from synctool.errors import MissingError, UsageError
from synctool.synthetic.scene import OffsetAt, Scene
from synctool.synthetic.video import write_scene
from synctool.types import Segment

PAGE = Path(__file__).resolve().parent.parent / "docs" / "notebook.md"


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("videos") / "talk.mp4"
    made = Scene(4.0, (OffsetAt(0.0, 160.0),), seed=5, size_px=(426, 240))
    write_scene(made, path)
    return path


@pytest.mark.integration
def test_the_examples_of_the_page_run(talk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(talk.parent)
    code = "".join(re.findall(r"```pycon\n(.+?)```", PAGE.read_text("utf-8"), re.S))
    test = doctest.DocTestParser().get_doctest(code, {}, PAGE.name, str(PAGE), 0)
    assert len(test.examples) > 20
    assert doctest.DocTestRunner().run(test).failed == 0
    assert Path("talk.png").stat().st_size > 10_000


@pytest.mark.integration
def test_workers_give_the_same_in_order(talk: Path) -> None:
    names = ["gone.mp4", str(talk)]
    told: list[str] = []
    results = list(
        synctool.detect_many(names, jobs=2, on_error=lambda name, error: told.append(name))
    )
    assert told == ["gone.mp4"]
    assert [r.input for r in results] == [str(talk)]
    with pytest.raises(MissingError, match=r"gone\.mp4"):
        next(synctool.detect_many(names))
    with pytest.raises(UsageError, match="max_ofset"):
        synctool.detect_many(names, max_ofset=3)


def test_a_result_shows_itself_and_escapes_names() -> None:
    shown = made_result("<i>&.mp4")._repr_html_()
    assert "&lt;i&gt;&amp;.mp4" in shown and "<i>" not in shown
    assert "confidence" in shown and "ahead" in shown


def test_tables_of_a_result() -> None:
    made = made_result(segments=(Segment(0.0, 2.0, 3.0, 0.9), Segment(2.0, 4.0, -1.5, 0.8)))
    assert list(made.to_dataframe("segments")["offset_ms"]) == [120.0, -60.0]
    frames = made.to_dataframe()
    assert len(frames) == len(made.frames.t_s)
    known = [x is not None for x in made.frames.offset_frames]
    assert list(np.isfinite(frames["offset_frames"])) == known
    with pytest.raises(UsageError, match="faces"):
        made.to_dataframe("faces")  # type: ignore[arg-type]


def test_a_comparison_shows_itself() -> None:
    found = Comparison((made_trial(), made_trial("<i>.mp4")), ())
    assert "&lt;i&gt;.mp4" in found._repr_html_()
    rows = found.to_dataframe()
    assert list(rows["film"])[1] == "<i>.mp4"
    with pytest.raises(UsageError, match=r"other\.mp4"):
        found.plot("other.mp4")


@pytest.mark.parametrize(("method", "extra"), [("to_dataframe", "notebook"), ("plot", "plot")])
def test_what_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, method: str, extra: str
) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda module: False)
    with pytest.raises(MissingError, match=rf"pip install 'synctool\[{extra}\]'"):
        getattr(made_result(), method)()
