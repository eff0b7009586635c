"""The standing benchmark: the same figures twice, all models in one table, nothing of the machine in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmark_modules import BENCHMARKS, benchmark_modules
from fake_samples import talking_sample, write_processed
from flicker import flicker_video
from synctool.types import Trial

RESULTS = BENCHMARKS.parent / "docs" / "results.md"


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    with benchmark_modules("accuracy", "oracle", "tables") as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, bench: SimpleNamespace) -> Path:
    """A processed folder with its split, a video of strangers, constants and a network."""
    folder = tmp_path_factory.mktemp("bench")
    samples, rows = [], []
    for i, part in enumerate(("train", "val", "val", "val")):
        person = f"anna-{i // 2}"
        made = {"seed": i, "frames": 45, "speaker": person, "source": "made", "late_frames": i}
        samples.append(talking_sample(f"clip{i}", **made))
        rows.append({"key": f"clip{i}", "person": person, "split": part})
    rows[0]["person"] = "berta"
    (folder / "processed").mkdir()
    write_processed(folder / "processed", samples)
    (folder / "processed" / "split.json").write_text(json.dumps(rows))
    (folder / "clips").mkdir()
    flicker_video(folder / "clips" / "a.mkv", seconds=6)
    (folder / "constants.json").write_text(json.dumps({f"clip{i}": -i for i in range(4)}))
    bench.oracle.save_random(folder / "mine.safetensors", seed=1, small=True)
    return folder


def run(bench: SimpleNamespace, folder: Path, *words: str) -> int:
    return bench.accuracy.main(
        [
            *("--processed", str(folder / "processed"), "--clips", str(folder / "clips")),
            *("--detector", "whole", *words),
        ]
    )


def page(bench: SimpleNamespace, path: Path) -> Path:
    begin, end = bench.tables.markers(bench.accuracy.SCRIPT)
    path.write_text(f"# Results\n\nby hand\n\n{begin}\n{end}\n\nmore\n")
    return path


@pytest.mark.integration
def test_a_second_run_gives_the_same_figures(
    bench: SimpleNamespace,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(bench.accuracy, "shipped", lambda: ["fcn-cls"])
    made = []
    for i in range(2):
        out, told = page(bench, tmp_path / f"{i}.md"), tmp_path / f"{i}.json"
        more = ["--backbones", f"fcn-cls={folder / 'mine.safetensors'}", "--docs"]
        more += ["--page", str(out), "--json", str(told)]
        assert run(bench, folder, "--constants", str(folder / "constants.json"), *more) == 0
        made.append((out.read_text(), told.read_text()))
    assert made[0] == made[1]
    text, figures = made[0][0], json.loads(made[0][1])

    assert text.startswith("# Results\n\nby hand\n\n") and text.endswith("\n\nmore\n")
    assert text.count("sha256:") >= 2 and "seed 0" in text
    assert "--constants CONSTANTS --backbones fcn-cls=mine.safetensors" in text
    assert "made: 3 clips of 2 people" in text and "1 videos" in text
    assert not re.search(re.escape(str(folder)), "".join(made[0])), "it tells where files lie"
    models = list(figures["people"]["models"])
    assert len(models) == 2 and models[0] != models[1]
    assert all(f"`{model}`" in text for model in models)
    assert "people: ±1 frame |" in text and "videos: pieces agree |" in text

    found = {
        (m["backbone"], m["name"]): m for m in figures["people"]["metrics"] if m["group"] == "all"
    }
    # three clips, each as it is and moved four times
    assert {found[model, "accuracy_1"]["count"] for model in models} == {15}
    assert not {"speed", "memory_mb"} & {name for _, name in found}
    assert figures["people"]["failures"] == figures["videos"]["failures"] == []
    assert "All models" in capsys.readouterr().out


def test_without_a_file_the_offsets_are_measured(
    bench: SimpleNamespace, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.accuracy, "shipped", lambda: ["fcn-cls"])
    seen: list[Path] = []
    entries = bench.accuracy.dataset_entries

    def noted(place: Path, *, constants: Path, **more: object) -> list:
        seen.append(json.loads(constants.read_text()))
        return entries(place, constants=constants, **more)

    monkeypatch.setattr(bench.accuracy, "dataset_entries", noted)
    assert run(bench, folder, "--limit", "1", "--json", str(tmp_path / "a.json")) == 0
    assert set(seen[0]) == {"clip1", "clip2", "clip3"}, "people who are trained on have no say"
    facts = json.loads((tmp_path / "a.json").read_text())["facts"]
    assert facts["constants"] is None and "--limit 1" in facts["command"]


def test_what_cannot_be_measured_is_said(bench: SimpleNamespace) -> None:
    trials = [Trial("a", "syncnet", "w", error="no face crops"), Trial("b", "syncnet", "w")]
    assert bench.accuracy._failures(trials) == ["syncnet: 1 trials: no face crops"]


@pytest.mark.parametrize("lacking", ["--processed", "--clips"])
def test_without_the_folders_it_says_so(
    bench: SimpleNamespace, folder: Path, lacking: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(bench, folder, lacking, str(folder / "none")) == 5
    assert "none" in capsys.readouterr().err


def test_a_page_without_its_place_is_found_before_the_work(
    bench: SimpleNamespace, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.accuracy, "run_trials", lambda *_: pytest.fail("it works"))
    plain = tmp_path / "page.md"
    plain.write_text("# Results\n")
    assert run(bench, folder, "--docs", "--page", str(plain)) == 5
    assert plain.read_text() == "# Results\n"


def test_a_quick_look_is_not_written_down(bench: SimpleNamespace, folder: Path) -> None:
    with pytest.raises(SystemExit):
        run(bench, folder, "--docs", "--limit", "2")


@pytest.mark.parametrize("script", ["accuracy", "oracle"])
def test_the_documentation_has_the_place(bench: SimpleNamespace, script: str) -> None:
    before, after = bench.tables.around_section(RESULTS, script=f"benchmarks/{script}.py")
    assert before and after


def test_every_shipped_model_takes_part(bench: SimpleNamespace) -> None:
    assert "fcn-cls" in bench.accuracy.shipped()
    assert "syncnet" not in bench.accuracy.shipped(), "its weights have to be downloaded"
