"""Reports of a comparison: the terminal, JSON and CSV, of trials that are made up."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from rich.console import Console

from fake_results import series
from fake_trials import compare_json, failed_trial, labelled, made_trial, set_of
from synctool.evaluation.metric_specs import METRICS, Metric
from synctool.evaluation.metrics import summarise
from synctool.report.compare_out import (
    METRIC_COLUMNS,
    TRIAL_COLUMNS,
    metrics_csv,
    trial_line,
    trials_csv,
    versions,
)
from synctool.report.compare_rows import agrees_with_others, brief_names, plain_trials
from synctool.report.compare_table import MOST_VIDEOS, WIDTH, compare_view, figure
from synctool.types import Condition, Trial

THREE = ("fcn-cls", "syncnet", "resnet3d+vggish")


@pytest.fixture(scope="module")
def labelled_set() -> list[Trial]:
    """Videos of five people, through three models, as they are, moved and with noise."""
    return set_of(6, THREE)


@pytest.fixture(scope="module")
def metrics(labelled_set: list[Trial]) -> list[Metric]:
    """Their metrics."""
    return summarise(labelled_set, by=("person", "perturbation"))


def shown(
    trials: Sequence[Trial],
    metrics: Sequence[Metric] = (),
    *,
    terminal: bool = False,
    encoding: str = "utf-8",
    **more: object,
) -> str:
    """What a console of 240 columns shows."""
    console = Console(width=240, file=io.StringIO(), force_terminal=terminal, record=False)
    console.print(compare_view(trials, metrics, encoding=encoding, **more))
    return console.file.getvalue()


def row(text: str, begin: str) -> str:
    """The line that begins so."""
    found = [line for line in text.splitlines() if line.strip().startswith(begin)]
    assert found, f"no {begin!r} in\n{text}"
    return found[0]


def metric(name: str, value: float, low: float = math.nan, high: float = math.nan) -> Metric:
    """A figure of fcn-cls."""
    return Metric(name, value, low, high, "people", 7, 12, "fcn-cls", "all", True)


# ------------------------------------------------------------------------------------- the terminal


def test_a_video_is_a_row_a_model() -> None:
    trials = [made_trial(), made_trial(backbone="syncnet", offset_frames=-2.5, lse_d=None)]
    text = shown(trials, shared_s={"talk.mp4": 1.25})
    assert row(text, "talk.mp4") == "talk.mp4  0:04.0, read in 1.2 s"
    first = row(text, "fcn-cls")
    for said in ("120 ms ahead", "unacceptable", "0.98", "8.00", "5.40", "8 x", "300"):
        assert said in first
    assert "100 ms behind" in row(text, "syncnet")
    assert "error" not in text and "All trials" not in text


def test_an_offset_without_a_verdict_is_not_shown() -> None:
    weak = made_trial(answered=False, verdict="inconclusive", reason="the audio is silent")
    text = shown([weak])
    assert "ahead" not in text
    assert "inconclusive" in row(text, "fcn-cls")
    assert row(text, "because") == row(text, "because the audio is silent")


def test_a_failure_says_why_in_the_place_of_its_figures() -> None:
    text = shown([made_trial(), failed_trial()])
    assert "failed: it takes 5 frames and there are 3" in row(text, "syncnet")
    assert "0.00" not in row(text, "syncnet")


def test_the_error_stands_beside_a_known_offset() -> None:
    text = shown([labelled(made_trial(), 2.0)])
    assert "known: audio 80 ms ahead" in row(text, "talk.mp4")
    assert "+40 ms" in row(text, "fcn-cls")


def test_agreement_is_of_frames_where_both_have_an_offset() -> None:
    half = made_trial(backbone="b", frames=series(*[3.5] * 20, *[9.0] * 60, *[None] * 20))
    assert agrees_with_others(made_trial(), [made_trial(), half]) == pytest.approx(20 / 80)
    assert agrees_with_others(made_trial(), [made_trial()]) is None
    assert "25 %" in row(shown([made_trial(), half]), "fcn-cls")


def test_names_are_told_apart_however_short() -> None:
    names = [f"fcn-cls ({file} sha256:{n})" for file, n in (("mine", "0a"), ("other", "1b"))]
    assert list(brief_names(names, 24).values()) == ["fcn-cls (mine)", "fcn-cls (other)"]
    same = ["fcn-cls (best sha256:0a)", "fcn-cls (best sha256:1b)"]
    assert len(set(brief_names(same, 24).values())) == 2
    long = [f"a-very-long-name-{n}-of-a-network-with-options" for n in range(9)]
    brief = list(brief_names(long, 16).values())
    assert len(set(brief)) == 9 and brief[1].endswith("#2")
    assert max(map(len, brief)) == 16


def test_lines_are_no_longer_than_a_terminal(labelled_set, metrics) -> None:
    text = shown(labelled_set, metrics)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert all(line == line.rstrip() for line in text.splitlines())
    five = [
        replace(trial, backbone=f"{trial.backbone}-{n}-resnet3d.mc3+wav2vec2.large")
        for trial in labelled_set
        for n in range(2)
    ]
    assert max(map(len, shown(five, summarise(five)).splitlines())) <= WIDTH


def test_a_narrow_window_gets_fewer_columns_and_says_which(labelled_set, metrics) -> None:
    text = shown(labelled_set, metrics, width=80)
    assert "in a wider window, or --csv: speed, MiB" in text
    assert "LSE-D" in text.splitlines()[0] and "speed" not in text.splitlines()[0]
    assert max(map(len, text.splitlines())) <= 80


def test_metrics_stand_by_family_with_their_intervals(labelled_set, metrics) -> None:
    text = shown(labelled_set, metrics)
    found = {m.backbone: m for m in metrics if m.name == "accuracy_1" and m.group == "all"}
    rows = "".join(line for line in text.splitlines() if line.startswith("  ±1 frame ↑"))
    assert [figure(found[name]) in rows for name in THREE] == [True] * 3
    assert "Offsets against the truth" in text
    assert "±1 frame, by person" in text
    assert "noise 3 (5 dB)" in text and "as it is" in text
    assert "segment" not in row(text, "in brackets")


def test_the_title_says_that_degraded_copies_do_not_count(labelled_set, metrics) -> None:
    assert "All trials but those on degraded copies" in shown(labelled_set, metrics)
    plain = [trial for trial in labelled_set if not trial.condition.perturbation]
    assert "All trials together" in shown(plain, summarise(plain))


def test_a_console_without_arrows_gets_none(labelled_set, metrics) -> None:
    text = shown(labelled_set, metrics, encoding="latin-1")
    assert "↑" not in text and "↓" not in text


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (metric("accuracy_1", 0.8733, 0.8011, 0.9342), "87.3 % [80.1, 93.4]"),
        (metric("mae_ms", 12.34, 10.0, 15.0), "12.3 ms [10.0, 15.0]"),
        (metric("memory_mb", 512.4), "512 MiB"),
        (metric("speed", 31.25), "31.2 x"),
        (metric("lse_c", 7.5), "7.500"),
    ],
)
def test_figures_carry_their_unit(made: Metric, said: str) -> None:
    assert figure(made) == said


def test_every_unit_of_the_metrics_is_known() -> None:
    assert all(figure(metric(name, 0.5)) for name in METRICS)


def test_names_are_not_read_as_markup_and_move_nothing() -> None:
    nasty = "[red]\x1b[2J\u202egp4.mp4"
    text = shown([made_trial(nasty, error="[bold]no\x07"), made_trial(nasty, "b")])
    assert "\x1b" not in text and "\x07" not in text and "\u202e" not in text
    assert "[red]" in text and "[bold]no" in text


def test_of_a_thousand_videos_some_are_listed() -> None:
    trials = [made_trial(f"{n}.mp4") for n in range(MOST_VIDEOS + 5)]
    trials.append(failed_trial("last.mp4"))
    text = shown(trials)
    assert "and 6 more videos (1 of all failed)" in text
    assert f"\n{MOST_VIDEOS - 1}.mp4" in text and f"\n{MOST_VIDEOS}.mp4" not in text


def test_a_terminal_gets_colours_and_the_same_words(labelled_set, metrics) -> None:
    assert "\x1b[" in shown(labelled_set, metrics, terminal=True)


# ------------------------------------------------------------------------------------- JSON and CSV


def test_the_object_holds_everything(labelled_set, metrics) -> None:
    found = json.loads(
        compare_json(labelled_set, metrics, command="synctool compare", settings={"seed": 3})
    )
    assert list(found) == [
        *("schema", "command", "versions", "settings", "models", "films"),
        *("metrics", "agreement", "reliability", "trials"),
    ]
    assert found["schema"] == "synctool.compare/1"
    assert [model["name"] for model in found["models"]] == list(THREE)
    assert found["films"] == [f"video-{n}.mp4" for n in range(6)]
    assert [Trial.from_dict(trial) for trial in found["trials"]] == labelled_set
    assert len(found["agreement"]) == 3
    assert sum(b["count"] for b in found["reliability"]["fcn-cls"]) == 12
    assert {m["name"] for m in found["metrics"]} <= set(METRICS)
    assert found["settings"] == {"seed": 3}


def test_what_is_no_number_is_null_and_text_is_itself() -> None:
    odd = made_trial("ä\udce4.mp4", lse_c=math.nan)
    for text in (trial_line(odd), compare_json([odd], summarise([odd]))):
        assert "NaN" not in text
        json.loads(text.encode("utf-8"))
    assert json.loads(trial_line(odd))["lse_c"] is None


def test_the_same_trials_make_the_same_object(labelled_set, metrics) -> None:
    again = summarise(labelled_set, by=("person", "perturbation"))
    assert compare_json(labelled_set, metrics) == compare_json(labelled_set, again)


def test_versions_name_what_figures_depend_on() -> None:
    assert {"synctool", "python", "torch", "numpy"} <= set(versions())


def test_trials_as_a_table() -> None:
    moved = labelled(made_trial(condition=Condition("shift", moved_frames=1.5)), 2.0, person="a,b")
    rows = list(csv.DictReader(io.StringIO(trials_csv([moved, failed_trial()]))))
    assert list(rows[0]) == list(TRIAL_COLUMNS)
    assert rows[0]["person"] == "a,b"
    assert (rows[0]["condition"], rows[0]["moved_frames"]) == ("shift", "1.5")
    assert (rows[0]["truth_ms"], rows[0]["error_ms"]) == ("140", "-20")
    assert (rows[0]["answered"], rows[0]["times_real_time"]) == ("yes", "8")
    assert rows[1]["error"] == "it takes 5 frames and there are 3"
    assert not any(rows[1][name] for name in ("verdict", "confidence", "answered", "lse_c"))


def test_metrics_as_a_table(metrics) -> None:
    rows = list(csv.DictReader(io.StringIO(metrics_csv(metrics))))
    assert list(rows[0]) == list(METRIC_COLUMNS)
    assert len(rows) == sum(m.defined for m in metrics)
    best = next(r for r in rows if r["name"] == "accuracy_1")
    assert (best["unit"], best["higher_is_better"], best["drawn"]) == ("share", "yes", "people")
    assert float(best["low"]) <= float(best["value"]) <= float(best["high"])


def test_videos_are_in_order_and_conditions_apart(labelled_set) -> None:
    videos = plain_trials(labelled_set)
    assert list(videos) == [f"video-{n}.mp4" for n in range(6)]
    assert all([t.backbone for t in here] == list(THREE) for here in videos.values())
