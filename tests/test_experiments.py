"""The experiments: from made-up videos to the page, and the arithmetic behind the figures."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fake_samples import talking_sample, write_processed
from synctool.plugins import registry
from synctool.training.train import train

pytestmark = pytest.mark.integration

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
SMALL = "--steps 2 --batch 2 --frames 6 --few-clips 2 --target-clips 2 --workers 0".split()
SOURCES = ["--source", "long", "--target", "short"]


@pytest.fixture(scope="module", autouse=True)
def bench() -> Iterator[SimpleNamespace]:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import experiment_answers
        import experiment_parts
        import experiment_runs
        import experiment_tables
        import experiments
        import small_network

        yield SimpleNamespace(
            main=experiments.main,
            script=experiments,
            answers=experiment_answers,
            parts=experiment_parts,
            runs=experiment_runs,
            tables=experiment_tables,
            network=small_network,
        )
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "processed"
    samples, rows = [], []
    for source, frames in (("long", 40), ("short", 9)):
        for i, part in enumerate(("train", "train", "train", "val", "val")):
            person = f"{source}-{i // 2}"  # the first has two clips
            sample = talking_sample(
                f"{source}{i}", seed=i, frames=frames, speaker=person, source=source
            )
            samples.append(sample)
            rows.append({"key": sample.info.key, "person": person, "split": part})
    rows[3]["person"] = rows[4]["person"]
    rows[8]["person"] = rows[9]["person"]
    write_processed(folder, samples)
    (folder / "split.json").write_text(json.dumps(rows))
    return folder


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("docs") / "experiments.md"
    text = (BENCHMARKS.parent / "docs" / "experiments.md").read_text("utf-8")
    empty = r"\1\n\nThe command above fills this in.\n\n\2"
    text, filled = re.subn(
        r"(<!-- [^>]* begin -->).*?(<!-- [^>]* end -->)", empty, text, flags=re.S
    )
    assert filled == 3
    path.write_text(text, "utf-8")
    return path


# ----------------------------------------------------------------------- the whole way


@pytest.mark.slow
def test_from_videos_to_the_page_also_after_an_interruption(
    bench: SimpleNamespace,
    processed: Path,
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, told = tmp_path / "runs", tmp_path / "figures.json"
    words = ["--processed", str(processed), "--out", str(out), *SOURCES, *SMALL]
    names: list[str] = []

    def counted(folder: Path, output: Path, *rest: Any, **more: Any) -> Path:
        names.append(output.name)
        return train(folder, output, *rest, **more)

    def stopped(_: object) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench.runs, "train", counted)
    with monkeypatch.context() as patch:
        patch.setitem(bench.parts.PARTS, "early", stopped)
        assert bench.main(words) == 130
    assert "goes on" in capsys.readouterr().err
    assert (out / "collapse.json").is_file()
    assert names == ["classifier", "soft-argmax"]

    before = page.read_text("utf-8")
    assert bench.main([*words, "--json", str(told), "--docs", "--page", str(page)]) == 0
    beginnings = ["nothing", "pretext", "sync", "thawed"]
    assert names[2:] == ["early", "pretext-retrieval", *(f"transfer-{x}" for x in beginnings)]

    figures = json.loads(told.read_text())
    assert list(figures) == ["collapse", "early", "transfer"]
    assert set(figures["collapse"]["sources"]) == {"long"}
    of = figures["collapse"]["sources"]["long"]
    assert len(of["true"]) == len(of["said"]["classifier"]) == 2 * 8
    assert of["quality"]["middle"]["deviation"]["value"] == 0
    assert len(figures["early"]["curve"]) == 2
    assert list(figures["transfer"]["quality"]) == beginnings
    assert figures["transfer"]["test"] == {"clips": 2, "people": 1}
    shown = capsys.readouterr().out
    assert "regression, as it is" in shown
    assert "thawed" in shown

    after = page.read_text("utf-8")
    assert "fills this in" not in after
    assert "--only early --source long --target short --steps 2" in after
    for name in figures:
        assert (page.parent / f"experiments-{name}.png").is_file()
        assert f"](experiments-{name}.png)" in after
    for part in before.split("\n\nThe command above fills this in.\n\n"):
        assert part in after
    assert bench.main([*words, "--docs", "--page", str(page)]) == 0
    assert page.read_text("utf-8") == after
    assert len(names) == 8, "what is finished was made again"

    assert bench.main([*words, "--seed", "2"]) == 2
    assert "another seed" in " ".join(capsys.readouterr().err.split())


# ----------------------------------------------------------------------- what is refused


def test_what_is_missing_is_said(
    bench: SimpleNamespace,
    processed: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--out", str(tmp_path / "runs"), *SMALL]
    assert bench.main(["--processed", str(tmp_path / "none"), *words]) == 5
    words += ["--processed", str(processed)]
    assert bench.main([*words, "--source", "GRID", "--only", "collapse"]) == 5
    assert "no clips of GRID" in " ".join(capsys.readouterr().err.split())
    page = tmp_path / "page.md"
    page.write_text("nothing")
    assert bench.main([*words, "--source", "GRID", "--docs", "--page", str(page)]) == 5
    assert "no place for collapse" in " ".join(capsys.readouterr().err.split())
    assert page.read_text() == "nothing"


@pytest.mark.parametrize(
    "words", [["--only", "collapse,guess"], ["--steps", "0"], ["--batch", "1"], ["--loss", "no"]]
)
def test_wrong_words_are_refused(bench: SimpleNamespace, words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.main(words)
    assert ended.value.code == 2


def test_one_person_cannot_be_judged_by_others(
    bench: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "processed"
    made = [talking_sample(f"k{i}", seed=i, frames=9, source="one") for i in range(2)]
    write_processed(folder, made)
    rows = [
        {"key": f"k{i}", "person": f"p{i}", "split": part}
        for i, part in enumerate(("train", "val"))
    ]
    (folder / "split.json").write_text(json.dumps(rows))
    words = ["--processed", str(folder), "--out", str(tmp_path / "runs"), "--source", "one", *SMALL]
    assert bench.main([*words, "--only", "early"]) == 5
    assert "of one person" in " ".join(capsys.readouterr().err.split())


def test_the_networks_name_is_known_only_for_a_while(bench: SimpleNamespace) -> None:
    with bench.network.small_network():
        assert registry.backbones.get("fcn-small").embedding_size == bench.network.EMBEDDING
    assert "fcn-small" not in [spec.name for spec in registry.backbones.all()]


# ----------------------------------------------------------------------- windows and answers


class Facts:
    """Who is in a clip, and its own delay."""

    def __init__(self, constant: float = 0.0) -> None:
        self._constant = constant

    def person(self, sample: Any) -> str:
        return sample.info.speaker

    def constant(self, _: Any) -> float:
        return self._constant


@pytest.mark.parametrize(("frames", "late"), [(80, 0), (80, 2), (30, 0)])
def test_the_audio_of_a_window_is_where_its_label_says(
    bench: SimpleNamespace, frames: int, late: int
) -> None:
    """The mouth that opens and the audio that grows loud with it are laid over each other."""
    samples = [
        talking_sample(f"k{i}", seed=i, frames=frames, speaker="a", late_frames=late)
        for i in range(3)
    ]
    windows = bench.answers.cut_windows(samples, Facts(-late), frames=16, per_clip=5, seed=0)
    assert windows.video.shape == (15, 16, 72, 72)
    assert windows.audio.shape == (15, 64, 4 * (16 + 2 * windows.lead))
    assert abs(windows.offset_frames).max() < 15.01
    assert sorted(round(x / 2) for x in windows.offset_frames) == list(range(-7, 8))
    dark = (windows.video < 100).mean((2, 3))
    loud = windows.audio.mean(1).reshape(15, -1, 4).mean(2)
    near = 0
    for opened, heard, offset in zip(dark, loud, windows.offset_frames):
        scores = {
            n: np.corrcoef(opened, heard[windows.lead - n : windows.lead - n + 16])[0, 1]
            for n in range(-15, 16)
        }
        near += abs(max(scores, key=scores.__getitem__) - offset) <= 1
    assert near >= (14 if frames == 80 else 7)  # in short clips the right audio may be cut off


def test_in_long_clips_the_place_of_the_audio_does_not_depend_on_the_offset(
    bench: SimpleNamespace,
) -> None:
    rng = np.random.default_rng(0)
    begun = {m: [bench.answers._place(59, m, rng) + m for _ in range(400)] for m in (-15, 0, 15)}
    for places in begun.values():
        assert min(places) == 15
        assert max(places) == 44
    assert np.ptp([np.mean(x) for x in begun.values()]) < 2.5
    short = [bench.answers._place(8, m, rng) for m in (-15, 15) for _ in range(50)]
    assert set(short) == set(range(9))


def windows_of(bench: SimpleNamespace, true: np.ndarray, people: int) -> Any:
    count = len(true)
    return bench.answers.Windows(
        video=np.arange(count, dtype=np.uint8)[:, None, None, None],
        audio=np.zeros((count, 64, 4), np.float32),
        lead=0,
        offset_frames=true,
        clips=tuple(f"c{i % 10}" for i in range(count)),
        people=tuple(f"p{i % 10 % people}" for i in range(count)),
    )


@pytest.mark.parametrize(("people", "drawn", "units"), [(5, "people", 5), (2, "clips", 10)])
def test_figures_of_answers_of_known_quality(
    bench: SimpleNamespace, people: int, drawn: str, units: int
) -> None:
    true = np.linspace(-15, 15, 60)
    windows = windows_of(bench, true, people)
    shrunk = bench.answers.quality(true / 2, -true, windows)
    assert shrunk.slope.value == pytest.approx(0.5)
    assert shrunk.slope.low == pytest.approx(0.5)
    assert shrunk.deviation.value == pytest.approx(true.std() / 2)
    assert shrunk.deviation.low < shrunk.deviation.value < shrunk.deviation.high
    # |x| / 2 <= 1 in -2..2, |2 x| <= 1 in -0.5..0.5; the 60 values are 30 / 59 apart.
    assert shrunk.within.value == pytest.approx(4 * 2 / 60, abs=1e-9)
    assert shrunk.blind.value == pytest.approx(2 / 60)
    assert shrunk.median_error.value == pytest.approx(np.median(abs(true)) / 2)
    assert (shrunk.slope.drawn, shrunk.slope.units) == (drawn, units)
    assert (shrunk.within.drawn, shrunk.within.units) == (drawn, units)


def test_answers_are_compared_window_by_window(bench: SimpleNamespace) -> None:
    true = np.linspace(-15, 15, 60)
    windows = windows_of(bench, true, 5)
    same = bench.answers.better_by(true, true + 0.5, windows)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert bench.answers.better_by(true, true + 2, windows).low == 1


def test_others_frames_are_others(bench: SimpleNamespace) -> None:
    windows = windows_of(bench, np.zeros(20), 5)
    swapped = bench.answers.others_crops(windows)
    shown = [windows.clips[int(image)] for image in swapped.video.reshape(-1)]
    assert all(a != b for a, b in zip(shown, windows.clips))
    assert swapped.clips == windows.clips


def test_all_networks_read_windows(bench: SimpleNamespace) -> None:
    samples = [talking_sample(f"k{i}", seed=i, frames=30, speaker="a") for i in range(2)]
    windows = bench.answers.cut_windows(samples, Facts(), frames=6, per_clip=2, seed=0)
    torch.manual_seed(0)
    for network, read in (
        (bench.network.small(), bench.answers.classified),
        (bench.network.small(), bench.answers.soft_argmax),
        (bench.network.regressor(), bench.answers.regressed),
    ):
        said = bench.answers.answers(network.eval(), windows, read)
        assert said.shape == (4,)
        assert (abs(said) <= 15).all()


# ----------------------------------------------------------------------- runs


def test_regression_and_classifier_begin_alike(bench: SimpleNamespace) -> None:
    torch.manual_seed(3)
    one = bench.network.small().state_dict()
    torch.manual_seed(3)
    other = bench.network.regressor().state_dict()
    shared = [key for key in one if "encoder." in key]
    assert len(shared) > 50
    assert all(torch.equal(one[key], other[key]) for key in shared)


@pytest.mark.parametrize(
    ("scores", "patience", "kept", "ended"),
    [
        ([0.1, 0.3, 0.2, 0.25, 0.9], 2, 2, 4),
        ([0.1, 0.3, 0.2, 0.25, 0.9], 3, 5, 5),
        ([0.1, 0.3, 0.2, 0.25, 0.9], 0, 5, 5),
        ([0.5, 0.5, 0.5], 2, 1, 3),
        ([0.0], 1, 1, 1),
    ],
)
def test_what_early_stopping_keeps(
    bench: SimpleNamespace, scores: list[float], patience: int, kept: int, ended: int
) -> None:
    assert bench.parts.picked(scores, patience) == (kept, ended)


def test_the_words_say_what_the_curve_shows(bench: SimpleNamespace) -> None:
    def told(scores: list[float], kept: int, lost: tuple[float, float, float]) -> str:
        interval = dict(zip(("mean", "low", "high"), lost))
        figures = {
            "curve": [{"epoch": i, "loss": 5.0 - i, "score": x} for i, x in enumerate(scores, 1)],
            "epochs": {"kept": kept},
            "ended": len(scores),
            "lost": {**interval, "drawn": "clips", "units": 9, "values": 9},
        }
        return bench.tables._early_words(figures)

    assert "changes nothing" in told([0.1, 0.2], 2, (0, 0, 0))
    fell = told([0.1, 0.4, 0.2], 2, (-0.1, -0.2, -0.05))
    assert "the validation score fell: 0.400 to 0.200" in fell
    assert "the training loss fell from 3.00 to 2.00" in fell
    assert fell.endswith("-0.100 [-0.200, -0.050], paired: a loss.")
    assert "cannot" not in fell
    assert "no difference" in told([0.1, 0.4, 0.2], 2, (-0.1, -0.2, 0.05))
    assert told([0.1, 0.4, 0.2], 2, (0.1, 0.05, 0.2)).endswith("a gain.")
