"""Charts: what they show of results, and how SVG and matplotlib draw it."""

from __future__ import annotations

import html
import math
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.image import imread

from fake_results import inconclusive, made_result, series
from fake_trials import failed_trial, labelled, made_trial, set_of
from synctool.errors import OutputError
from synctool.evaluation.metric_specs import Metric
from synctool.evaluation.metrics import summarise
from synctool.report.charts.curves import (
    context_chart,
    moves_chart,
    reliability_charts,
    robustness_charts,
)
from synctool.report.charts.description import (
    Axis,
    Bars,
    Chart,
    Mark,
    Role,
    nice_ticks,
    time_axis,
)
from synctool.report.charts.figures import figure_of
from synctool.report.charts.offsets import compare_chart, detect_chart
from synctool.report.charts.palette import DARK, LIGHT, style_sheet
from synctool.report.charts.svg import drawing, element, interval_cell, path_of, readout
from synctool.report.compare_rows import Models
from synctool.report.plots import write_compare_plot, write_compare_plots, write_plot
from synctool.scoring.confidence import ReliabilityBin
from synctool.types import Condition, Segment, Trial

THREE = ("fcn-cls", "syncnet", "resnet3d+vggish")
BINS = (ReliabilityBin(0.2, 0.3, 4, 0.25, 0.25), ReliabilityBin(0.7, 0.8, 8, 0.75, 0.75))
NAMES = [
    "plain.mp4",
    "😀 映画 فيلم $\\frac{$.mp4",
    "tab\tand\nline\x1b[31m.mp4",
    os.fsdecode(b"not \xff unicode.mp4"),
    "long" * 60 + ".mp4",
    "",
]


@pytest.fixture(scope="module")
def labelled_set() -> list[Trial]:
    """Videos of five people, through three models, as they are, moved and with noise."""
    return set_of(6, THREE)


@pytest.fixture(scope="module")
def metrics(labelled_set: list[Trial]) -> list[Metric]:
    """Their metrics."""
    return summarise(labelled_set, by=("perturbation",))


def marks(chart: Chart, role: Role, panel: int = 0) -> list[Mark]:
    """The marks of a role in a panel."""
    return [
        m for m in chart.panels[panel].marks if getattr(m, "look", None) and m.look.role == role
    ]


def points(chart: Chart, role: Role, panel: int = 0) -> list[tuple[float, float]]:
    """The points of all marks of a role in a panel, without gaps."""
    return [p for mark in marks(chart, role, panel) for p in mark.points if p is not None]


def compared(trials: list[Trial], **more: int) -> Chart:
    """The chart of a video through several models."""
    return compare_chart(trials, Models.of(trials).names, **more)


# ------------------------------------------------------------------------------- offset over time


def test_an_offset_is_drawn_in_ms_with_its_segments_and_its_confidence() -> None:
    chart = detect_chart(made_result())
    assert {y for _, y in points(chart, "dots")} == {120.0}
    assert points(chart, "segment") == [(0.0, 120.0), (4.0, 120.0)]
    assert {y for _, y in points(chart, "thin", 1)} == {0.9}
    assert (chart.x.low, chart.x.high) == (0.0, 4.0)
    first = chart.panels[0]
    assert first.y.high == pytest.approx(40 * first.second.high)
    assert [key.name for key in chart.keys] == ["per frame", "segment"]


def test_low_confidence_has_dots_of_its_own() -> None:
    chart = detect_chart(made_result(frames=series(3.0, 4.0, 5.0, confidence=0.1), segments=()))
    assert [y for _, y in points(chart, "weak")] == [120.0, 160.0, 200.0]
    assert points(chart, "dots") == []
    assert [key.name for key in chart.keys] == ["per frame, confidence below 0.5"]


@pytest.mark.parametrize(
    ("result", "remark"),
    [
        (made_result(), ""),
        (inconclusive("weak", frames=series(*range(-12, 13), confidence=0.1)), "inconclusive"),
        (inconclusive("no face"), "nothing could be measured"),
        (inconclusive("too short", frames=series()), "nothing could be measured"),
    ],
)
def test_a_video_without_an_answer_is_marked(result, remark: str) -> None:
    chart = detect_chart(result)
    assert chart.panels[0].remark == remark
    offsets = [o * 40 for o in result.frames.offset_frames if o is not None]
    assert chart.panels[0].y.low < min([-185, *offsets])
    assert chart.panels[0].y.high > max([90, *offsets])


def test_a_long_video_is_thinned_but_keeps_what_is_sure() -> None:
    frames = series(*[5.0] * 50_000, confidence=0.1)
    confidence = list(frames.confidence)
    confidence[12_345] = 0.9
    chart = detect_chart(made_result(frames=replace(frames, confidence=tuple(confidence))))
    assert [t for t, _ in points(chart, "dots")] == [12_345 / 25]
    assert len(drawing(chart)) + len(readout(chart)) < 120_000
    hour = made_trial(frames=series(*[3.0] * 90_000), duration_s=3600.0)
    assert len(points(compared([hour], most_points=400), "dots")) == 400


def test_models_have_a_panel_each_with_what_is_known() -> None:
    trials = [
        labelled(made_trial(), 2.0),
        made_trial(
            backbone="b",
            frames=series(*[-4.0] * 50, *[5.0] * 50),
            segments=(Segment(0.0, 2.0, -4.0, 0.9), Segment(2.0, 4.0, 5.0, 0.9)),
        ),
        failed_trial(),
    ]
    chart = compared(trials)
    first, second, third = chart.panels
    assert first.title == "fcn-cls: audio 120 ms ahead, confidence 0.98, unacceptable"
    assert points(chart, "truth") == [(0.0, 80.0), (4.0, 80.0)]
    assert (first.y, third.y) == (second.y, second.y)
    assert second.y.low < -160 and second.y.high > 200
    assert (third.remark, third.title) == ("failed", "syncnet: it takes 5 frames and there are 3")
    with pytest.raises(ValueError, match="no trials"):
        compared([])


def test_a_known_offset_that_changes_is_drawn_by_segment_under_the_condition() -> None:
    known = labelled(made_trial(condition=Condition("shift", moved_frames=1.0)), 2.0)
    segments = (Segment(0.0, 1.0, 2.0, 1.0), Segment(1.0, 4.0, -3.0, 1.0))
    known = replace(known, label=replace(known.label, segments=segments))
    assert [y for _, y in points(compared([known]), "truth")] == [120.0, 120.0, -80.0, -80.0]


@pytest.mark.parametrize(
    ("duration_s", "labels"),
    [
        (0.0, ["0:00.0"]),
        (0.4, ["0:00.0", "0:00.1", "0:00.2", "0:00.3", "0:00.4"]),
        (70.0, ["0:00", "0:10", "0:20", "0:30", "0:40", "0:50", "1:00", "1:10"]),
        (7200.0, ["0:00", "20:00", "40:00", "1:00:00", "1:20:00", "1:40:00", "2:00:00"]),
    ],
)
def test_a_time_axis(duration_s: float, labels: list[str]) -> None:
    assert [label for _, label in time_axis(duration_s).ticks] == labels


def test_ticks_are_round_and_inside() -> None:
    assert nice_ticks(-223.4, 171.2) == (-200, -100, 0, 100)
    assert nice_ticks(0, 1, 4) == (0, 0.25, 0.5, 0.75, 1)
    assert nice_ticks(2, 2) == (2,)
    assert nice_ticks(math.nan, 1) == ()


# ---------------------------------------------------------------------------------------- metrics


def test_nothing_to_draw_is_no_chart() -> None:
    assert context_chart([], ["m"]) is None
    assert reliability_charts({"m": ()}, ["m"]) == []
    assert robustness_charts([], ["m"]) == []


def test_accuracy_by_context_has_a_curve_a_model(metrics: list[Metric]) -> None:
    chart = context_chart(metrics, THREE)
    assert chart is not None
    curves = marks(chart, "line")
    values = [m.value for m in metrics if m.name == "accuracy_1_frame@15" and m.group == "all"]
    assert [curve.points[-1][1] for curve in curves] == values
    assert [label for _, label in chart.x.ticks] == ["5", "7", "9", "11", "13", "15"]
    assert len({curve.points[-1][0] for curve in curves}) == 3, "whiskers would cover each other"
    assert chart.description.startswith("fcn-cls: 5: ")


def test_reliability_is_a_chart_a_model(labelled_set: list[Trial]) -> None:
    (chart,) = reliability_charts({"m": BINS, "n": ()}, ["n", "m"])
    assert points(chart, "line") == [(0.25, 0.25), (0.75, 0.75)]
    (bars,) = marks(chart, "count", 1)
    assert isinstance(bars, Bars) and [tall for _, _, tall in bars.bars] == [4, 8]
    assert (bars.look.model, chart.name) == (1, "m")
    assert "confidence 0.75: 75 % right of 8" in chart.description


def test_robustness_is_the_share_that_is_right_and_the_share_answered() -> None:
    def noisy(level: int, video: str, offset: float | None, answered: bool) -> Trial:
        condition = Condition("perturbed", perturbation="noise", level=level, value=5.0 - level)
        found = made_trial(video, condition=condition, offset_frames=offset, answered=answered)
        return labelled(found, 3.0)

    trials = [
        *(labelled(made_trial(video), 3.0) for video in "ab"),
        noisy(1, "a", 3.9, True),
        noisy(1, "b", 9.0, False),
        noisy(2, "a", None, False),
    ]
    (chart,) = robustness_charts(summarise(trials, by=("perturbation",)), ["fcn-cls"])
    assert [y for _, y in points(chart, "line", 0)] == [1.0, 0.5, 0.0]
    assert [y for _, y in points(chart, "line", 1)] == [1.0, 0.5, 0.0]
    assert chart.x.ticks == ((0.0, "as is"), (1.0, "20"), (2.0, "10"))
    assert (chart.name, chart.x.title) == ("noise", "dB")


def test_moves_that_are_measured_lie_on_the_diagonal() -> None:
    chart = moves_chart([(5.0, 5.0), (5.0, 5.0), (-5.0, 0.0)], "m", 2)
    assert points(chart, "large") == [(5.0, 5.0), (-5.0, 0.0)]
    assert chart.caption == "2 of 3 moves are measured to within half a frame."


# -------------------------------------------------------------------------------------------- SVG


def test_elements_escape_what_they_are_given() -> None:
    made = element("text", "<b>&", class_='"><script>', text_anchor="end", x=1.50)
    assert str(made) == (
        '<text class="&#34;&gt;&lt;script&gt;" text-anchor="end" x="1.5">&lt;b&gt;&amp;</text>'
    )


def test_lines_break_where_there_is_nothing() -> None:
    assert path_of([(0, 0), (1, 2), None, (3, 4.25)]) == "M0 0h0L1 2M3 4.25h0"


def test_a_value_stands_within_its_interval() -> None:
    cell = str(interval_cell([(0.5, 0.25, 0.75, 0)], Axis(0.0, 1.0), "t"))
    left, right, dot = (
        float(x) for x in re.search(r"M([\d.]+) 6H([\d.]+).*?M([\d.]+) 6h0", cell).groups()
    )
    assert left < dot < right and dot == pytest.approx((left + right) / 2)


def test_an_offset_stands_at_its_height() -> None:
    svg = str(drawing(detect_chart(made_result(segments=()))))
    (heights,) = set(re.findall(r"M[\d.]+ ([\d.]+)h0", svg.split('class="area')[0]))
    labels = re.findall(r'class="tick end" x="[\d.]+" y="([\d.]+)">([^<]+)<', svg)
    frame_index = {text: float(y) - 4 for y, text in labels}
    expected = frame_index["0 ms"] + (frame_index["100 ms ahead"] - frame_index["0 ms"]) * 1.2
    assert float(heights) == pytest.approx(expected, abs=0.05)


def test_the_page_of_a_chart_says_what_is_to_be_seen() -> None:
    svg = html.unescape(str(drawing(detect_chart(made_result()))))
    assert "Offset and confidence over time, talk.mp4. Video of 0:04.0." in svg
    assert "90 of 100 frames have an offset, from +120 to +120 ms, median +120 ms" in svg
    assert all(word in svg for word in ("unacceptable", "detectable", "in sync", "+2", "frames"))


def test_light_and_dark_have_the_same_colours() -> None:
    assert list(LIGHT) == list(DARK)
    assert style_sheet().count("--m0: #5eb3ee") == 2


# ------------------------------------------------------------------------------------------ files


def figure_texts(chart: Chart, *heading: str) -> Iterator[str]:
    """All words of a figure."""
    figure = figure_of([chart], heading=heading)
    for artist in figure.findobj(lambda artist: hasattr(artist, "get_text")):
        yield artist.get_text()


def test_a_figure_says_what_a_page_says() -> None:
    said = "\n".join(figure_texts(detect_chart(made_result()), "talk.mp4"))
    for words in ("talk.mp4", "100 ms ahead", "100 ms behind", "frames", "Confidence", "in sync",
                  "detectable", "unacceptable", "ITU-R BT.1359-1", "per frame", "segment"):  # fmt: skip
        assert words in said, words


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_of_any_name(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trials = [made_trial(name, "_net$1$"), made_trial(name, "日本\x1b")]
        figure = figure_of([compared(trials)], heading=[name])
        figure.set_layout_engine("none")  # takes most of the time
        figure.set_dpi(30)
        figure.canvas.draw()


def test_a_plot_is_a_frame_of_a_sensible_size(tmp_path: Path) -> None:
    write_plot(made_result(NAMES[1]), tmp_path / "a.png")
    image = imread(tmp_path / "a.png")
    assert image.shape[1] == 1500 and 700 < image.shape[0] < 1000
    assert len({tuple(colour) for colour in image[::7, ::7].reshape(-1, 4).tolist()}) > 10
    assert 20_000 < (tmp_path / "a.png").stat().st_size < 300_000


@pytest.mark.parametrize(
    ("name", "start"), [("a.svg", b"<?xml"), ("a.PDF", b"%PDF"), ("a", b"\x89PNG")]
)
def test_the_suffix_chooses_the_format(name: str, start: bytes, tmp_path: Path) -> None:
    write_compare_plot([made_trial(), failed_trial()], tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        write_plot(made_result(), tmp_path / "a.bmp")
    assert ".png" in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_several_videos_go_into_a_folder_with_the_metrics(
    tmp_path: Path, labelled_set: list[Trial]
) -> None:
    trials = [t for t in labelled_set if t.film == "video-0.mp4"]
    trials += [made_trial("one/talk.mp4"), made_trial("two/Talk.mp4")]
    written = write_compare_plots(trials, summarise(trials, by=("perturbation",)), tmp_path)
    assert sorted(path.name for path in written) == [
        *("Talk.mp4-2.png", "metrics-context.png", "metrics-reliability.png"),
        *("metrics-robustness.png", "talk.mp4.png", "video-0.mp4.png"),
    ]
    for path in written:
        assert imread(path).std() > 0.01, path
