"""Pages for a browser: well-formed, alone in the world, and safe whatever a video is called."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import html5lib
import pytest

from fake_report import made_image, made_report, made_trial, made_trials
from fake_results import inconclusive, made_result, series
from synctool.cli.app import main
from synctool.errors import MissingError, OutputError
from synctool.evaluation.metric_specs import METRICS, Metric
from synctool.evaluation.metrics import summarise
from synctool.measure.detect import Detector
from synctool.report.compare_rows import Models
from synctool.report.html import compare as html_compare
from synctool.report.html import detect as html_detect
from synctool.report.html.pages import CompareReport, compare_page, detect_page, write_html
from synctool.report.html.shots import drawn, shots
from synctool.report.metric_words import basis
from synctool.report.outcome import Failure
from synctool.report.wording import finding_and_advice
from synctool.types import Condition, FrameSeries, Label, Segment

HOSTILE = [
    "<script>alert(1)</script>.mp4",
    "\"' onload=alert(1) x='.mp4",
    "</title></style></script><!--<img src=http://evil/>.mp4",
    "{{ 7*7 }}{% raw %}.mp4",
    "gnp.\u202e4pm\u2066.mp4",
    "line\nbreak\x1b[31m\u2028.mp4",
    os.fsdecode(b"caf\xe9.mkv"),
    "&amp;&lt;.mp4",
    "😀 映画 فيلم.mp4",
    "",
]
FAILURE = Failure.of("gone.mp4", MissingError("no such file: gone.mp4", remedy="Check the path."))


class _Read(HTMLParser):
    """What a page holds: attributes, text outside of scripts, and scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append((self.tags[-1][1], data))
        elif not self._inside:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def values(self, *names: str) -> list[str]:
        return [v or "" for _, given in self.tags for k, v in given.items() if k in names]

    def json(self, name: str) -> dict:
        (found,) = (json.loads(text) for given, text in self.scripts if given.get("id") == name)
        return found


def checked(text: str) -> _Read:
    """The page, once nothing is wrong with it."""
    html5lib.HTMLParser(strict=True).parse(text)
    page = _Read(text)
    for value in page.values("src", "href", "xlink:href", "action", "formaction", "poster"):
        assert value.startswith(("#", "data:")), value
    assert not re.search(r"@import|url\(", text)
    ids = Counter(page.values("id"))
    assert max(ids.values()) == 1, ids.most_common(1)
    for value in page.values("href"):
        assert not value.startswith("#") or value[1:] in ids, value
    for tag, given in page.tags:
        assert not any(name.startswith("on") for name in given), (tag, given)
        assert tag != "svg" or given.get("aria-label") or given.get("aria-hidden"), given
    assert "None" not in page.words and "nan" not in page.text.split()
    return page


def told(video: str) -> str:
    """The name as it stands in a page."""
    from synctool.report.text import printable

    return printable(video)


# ---------------------------------------------------------------------------------- one video


def test_the_page_of_a_video_says_what_was_found() -> None:
    page = checked(detect_page([made_result()], command="synctool detect talk.mp4 --html a.html"))
    for words in (
        "talk.mp4", "unacceptable", *finding_and_advice(made_result()),
        "+120", "audio ahead, +3.00 frames", "0.98", "97", "LSE-C", "10.000", "5.400",
        "1920 × 1080", "fcn-cls.v2 sha256:0123", "synctool detect talk.mp4 --html a.html",
    ):  # fmt: skip
        assert words in page.text, words


def test_the_exact_json_is_in_the_page() -> None:
    video = made_result("a<b>&c.mp4", source=replace(made_result().source, warnings=("</script>",)))
    page = checked(detect_page([video], command=""))
    assert page.json("result-video-1") == json.loads(json.dumps(video.to_dict()))


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_gets_out_of_its_place(name: str) -> None:
    video = made_result(name, backbone=f"x{name}", weights=name)
    clean = checked(detect_page([made_result()], command="x"))
    page = checked(detect_page([video], command=f"synctool detect {name}"))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in clean.tags]
    assert "http:" not in " ".join(page.values("src", "href", "content"))
    shown = " ".join(told(name).split())
    assert shown in page.text
    assert "\u202e" not in page.text and "\x1b" not in page.text
    assert page.json("result-video-1")["input"] == name
    several = checked(detect_page([video, replace(FAILURE, input=name, cause=name)], command=name))
    assert several.text.count(shown) >= 3


@pytest.mark.parametrize(
    "video",
    [
        inconclusive("no face was found in the image"),
        inconclusive("the audio is silent", tracks=(), coverage=0.0),
        inconclusive("the evidence is weak", frames=series(1.0, None, 2.0, confidence=0.1)),
        inconclusive("too short", frames=FrameSeries((), (), ())),
        made_result(drift_ms_per_min=None, syncnet_confidence=None, min_distance=None),
        made_result(min_distance=math.nan, frames=series(math.nan, 1.0)),
        made_result(timing_s={}),
        made_result(source=replace(made_result().source, duration_s=0.0)),
        made_result(offset_frames=0.0, verdict="in sync", segments=()),
    ],
)
def test_videos_with_little_in_them(video) -> None:
    page = checked(detect_page([video], command="x"))
    assert video.verdict in page.text
    assert (video.reason or "").lower() in page.text.lower()


def test_a_video_that_could_not_be_read() -> None:
    page = checked(detect_page([FAILURE], command="x"))
    assert "no such file: gone.mp4. Check the path." in page.text
    assert not page.values("data-save")


# ------------------------------------------------------------------------------ several videos


def test_several_videos_are_rows_and_sections() -> None:
    videos = [made_result("a.mp4"), inconclusive("no face", input="b.mp4"), FAILURE]
    page = checked(detect_page(videos, command="x"))
    assert {"video-1", "video-2"} <= set(page.values("id"))
    assert "video-3" not in page.values("id"), "there is nothing to be shown of a failure"
    assert page.json("result-video-2")["input"] == "b.mp4"
    assert "1 ■ unacceptable" in page.text and "1 ✕ failed" in page.text


def test_of_very_many_videos_the_worst_are_drawn_and_all_listed() -> None:
    count = html_detect.MOST_VIDEOS + 20
    videos = [made_result(f"{n}.mp4", offset_frames=0.0, verdict="in sync") for n in range(count)]
    videos[-1] = made_result("bad.mp4", offset_frames=9.0)
    text = detect_page([replace(video, segments=()) for video in videos], command="x")
    page = _Read(text)
    sections = [value for value in page.values("id") if re.fullmatch(r"video-\d+", value)]
    assert len(sections) == html_detect.MOST_VIDEOS
    assert f"video-{count}" in sections
    assert f"The {html_detect.MOST_VIDEOS} worst videos" in page.text
    assert all(f"{n}.mp4" in page.words for n in range(count - 1))


def test_results_that_make_a_page_too_large_are_left_out_and_it_says_so(monkeypatch) -> None:
    videos = [made_result("a.mp4"), made_result("b.mp4")]
    monkeypatch.setattr(html_detect, "MOST_JSON_BYTES", 4000)
    page = checked(detect_page(videos, command="x"))
    assert page.values("data-save") == ["result-video-1"]
    assert page.text.count("The JSON of this video is left out") == 1
    alone = checked(detect_page(videos[:1], command="x"))
    assert alone.json("result-video-1")["input"] == "a.mp4"


# ----------------------------------------------------------------------------------- compare


@pytest.fixture(scope="module")
def report() -> CompareReport:
    """Six videos, three models, shifts, pieces and perturbations."""
    return made_report(6)


def test_the_page_of_a_comparison(report: CompareReport) -> None:
    page = checked(compare_page(report))
    videos = {trial.film for trial in report.trials}
    for words in (
        "3 models, 6 videos", report.command, *videos, "fcn-cls.v1 sha256:0123", "torch",
        "Within a frame of the truth: fcn-cls", "Agreement", METRICS["mae_ms"].definition,
        METRICS["accuracy_1"].source, "of 2",
    ):  # fmt: skip
        assert words in page.text, words
    for anchor in ("videos", "metrics", "reliability", "robustness", "shifts", "pieces", "details"):
        assert anchor in page.values("id")
    labels = page.values("aria-label")
    assert any(
        label.startswith("Accuracy by length of the window. fcn-cls: 5:") for label in labels
    )
    assert any("by strength of noise" in label for label in labels)
    assert any(label.startswith("The frame at 0:01.0, one face") for label in labels)


def test_the_figures_of_a_comparison_are_in_it_for_programs(report: CompareReport) -> None:
    data = checked(compare_page(report)).json("report")
    assert data["schema"] == "synctool.compare-report/1"
    assert data["command"] == report.command
    given = {(m.name, m.backbone, m.group): m.value for m in report.metrics if m.defined}
    kept = {(m["name"], m["backbone"], m["group"]): m["value"] for m in data["metrics"]}
    assert kept == given and given
    assert len(data["agreement"]) == 3


def test_values_of_the_metrics_are_those_given() -> None:
    metric = Metric("mae_ms", 12.34, 10.0, 15.5, "people", 8, 40, "fcn-cls", "all", False)
    other = replace(metric, backbone="syncnet", value=math.nan, low=math.nan, high=math.nan)
    page = checked(
        compare_page(made_report(trials=made_trials(1, models=2), metrics=[metric, other]))
    )
    assert "12.3 ms 10.0 to 15.5" in page.text
    assert "40 trials, 8 people drawn" in page.text
    assert basis(replace(metric, count=1, units=1)) == "1 trial, 1 person drawn"


def test_failures_of_one_model_are_rows() -> None:
    trials = [
        made_trial("a.mp4"),
        made_trial("a.mp4", "syncnet", offset_frames=None, answered=False, error="no <weights>"),
    ]
    page = checked(compare_page(made_report(trials=trials)))
    assert "no <weights>" in page.text
    assert "1 measurement failed" in page.text


def test_a_video_that_failed_in_all_models_has_no_empty_chart() -> None:
    failed = made_trial("b.mp4", offset_frames=None, answered=False, error="b.mp4 is bad. Mend it.")
    page = compare_page(made_report(trials=[made_trial("a.mp4"), failed], metrics=[]))
    whole, bad = (
        part.partition("</details>")[0] for part in page.split('<details class="video"')[1:3]
    )
    assert ("chart-box" in whole, "chart-box" in bad) == (True, False)
    assert "is bad. Mend it." in bad and "b.mp4 is bad" not in bad


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_gets_out_of_its_place_in_a_comparison(name: str) -> None:
    label = Label(3.0, person=name, source=name)
    trials = [
        made_trial(name, name or "x", weights=name, label=label, truth_frames=3.0),
        made_trial(name, "b", weights=name, label=label, truth_frames=3.0, verdict="inconclusive",
                   answered=False, reason=name),
        made_trial(name, "b", weights=name, label=label,
                   condition=Condition("perturbed", perturbation=name or "x", level=2)),
    ]  # fmt: skip
    page = checked(
        compare_page(
            CompareReport(
                title=name, command=name, trials=trials, versions={name: name},
                metrics=summarise(trials, by=("person", "source", "perturbation")),
            )
        )
    )  # fmt: skip
    assert "alert(1)" not in "".join(t for g, t in page.scripts if not g.get("type"))
    assert {tag for tag, _ in page.tags}.isdisjoint({"img", "iframe", "object"})
    assert "\u202e" not in page.text and "\x1b" not in page.text
    assert page.json("report")["title"] == name


@pytest.mark.parametrize(
    "trials",
    [
        [],
        [made_trial("a.mp4", offset_frames=None, answered=False, verdict="inconclusive")],
        [made_trial("a.mp4", error="broken", offset_frames=None)],
        [made_trial("a.mp4", frames=FrameSeries((0.0,), (None,), (None,)), memory_mb=None)],
        [made_trial("a.mp4", condition=Condition("shift", 5.0))],
        [made_trial("a.mp4", label=Label(segments=(Segment(0.0, 2.0, 5.0, 1.0),)))],
        made_trials(2, labelled=False),
        made_trials(1, models=1),
    ],
)
def test_comparisons_with_little_in_them(trials) -> None:
    checked(compare_page(made_report(trials=trials)))


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        ([made_trial("a.mp4")], "fcn-cls: audio 120 ms ahead."),
        ([made_trial("a.mp4", answered=False)], "fcn-cls: inconclusive."),
        (
            [made_trial(f"{n}.mp4", answered=n > 0) for n in range(3)],
            "fcn-cls answers 2 of 3 videos.",
        ),
        (
            [made_trial("a.mp4", "x"), made_trial("a.mp4", "y", offset_frames=3.9)],
            "The models agree within a frame on 1 of 1 video.",
        ),
        (
            [made_trial("a.mp4", truth_frames=3.9), made_trial("b.mp4", truth_frames=4.1)],
            "Within a frame of the truth: fcn-cls 1 of 2.",
        ),
        (
            [made_trial("a.mp4"), made_trial("b.mp4", error="broken")],
            "fcn-cls answers 1 of 2 videos. 1 measurement failed; the table says why.",
        ),
    ],
)
def test_the_sentence_of_a_comparison(trials, said: str) -> None:
    models = Models.of(trials)
    assert html_compare.headline(trials, models) == said


def test_a_thousand_videos_fit_into_a_page() -> None:
    plain = made_trials(4, models=2, seconds=0.6, moved=False)
    trials = [replace(trial, film=f"{n}/{trial.film}") for n in range(250) for trial in plain]
    text = compare_page(CompareReport(title="x", command="x", trials=trials))
    page = _Read(text)
    rows = [value for value in page.values("data-v") if value.endswith(".mp4")]
    assert len(rows) == 2000
    details = [value for value in page.values("id") if re.fullmatch(r"video-\d+", value)]
    assert len(details) == html_compare.MOST_VIDEOS
    assert len(text) < 4_000_000


def test_the_worst_videos_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_compare, "MOST_VIDEOS", 2)
    trials = [
        made_trial(f"{n}.mp4", truth_frames=3.0 + (5 if n in (1, 3) else 0)) for n in range(5)
    ]
    assert html_compare.chosen_videos(trials) == ["1.mp4", "3.mp4"]


# ------------------------------------------------------------------------------------- parts


def test_only_the_script_of_the_page_may_run() -> None:
    page = checked(detect_page([made_result()], command="x"))
    (policy,) = (v for v in page.values("content") if "script-src" in v)
    (script,) = (text for given, text in page.scripts if not given.get("type"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize("colour", [False, True])
def test_frames_hold_their_faces_and_load_nothing(colour: bool) -> None:
    (shot,) = shots([made_image(50, colour=colour)])
    assert shot.size_px == (96, 54)
    drawing = str(drawn(shot))
    assert 'href="data:image/jpeg;base64,' in drawing
    assert drawing.count('x="30"') == 2 and "The frame at 0:02.0, one face" in drawing
    assert shots([shot]) == (shot,)


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path, capsysbinary) -> None:
    write_html("<p>caf\udce9</p>", tmp_path / "a.html")
    assert (tmp_path / "a.html").read_bytes() == b"<p>caf\\udce9</p>"
    with pytest.raises(OutputError):
        write_html("x", tmp_path / "none" / "a.html")
    write_html("é", "-")
    assert capsysbinary.readouterr().out == "é".encode()


# ---------------------------------------------------------------------------------- detect --html


@pytest.fixture
def detect(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys):
    """Runs ``synctool detect`` with made-up answers; images only where they are asked for."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SYNCTOOL_")]:
        monkeypatch.delenv(name)

    def measure(self, path, *, on_progress=None, on_thumbnails=None):
        if "bad" in path:
            raise MissingError(f"no such file: {path}", remedy="Look.")
        if on_thumbnails:
            on_thumbnails((made_image(0), made_image(25)))
        return made_result(path)

    monkeypatch.setattr(Detector, "detect", measure)

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["detect", *words])
        return code, *capsys.readouterr()

    return run


def test_detect_writes_a_page_of_one_video(detect, tmp_path: Path) -> None:
    code, out, _ = detect("it's.mp4", "--html", "a.html")
    assert code == 0 and out.startswith("it's.mp4: audio is")
    page = checked((tmp_path / "a.html").read_text("utf-8"))
    assert """synctool detect 'it'"'"'s.mp4' --html a.html""" in page.text
    assert sum(tag == "image" for tag, _ in page.tags) == 2
    assert sorted(os.listdir(tmp_path)) == ["a.html"]


def test_detect_writes_one_page_of_several_videos(detect, tmp_path: Path) -> None:
    code, out, _ = detect("a.mp4", "bad.mp4", "c.mp4", "--html", "-")
    assert code == 5
    page = checked(out)
    assert "3 videos" in page.text and "no such file: bad.mp4" in page.text
    assert sum(tag == "image" for tag, _ in page.tags) == 4
    assert not os.listdir(tmp_path)


def test_a_page_has_players_unless_they_are_not_wanted(detect, tmp_path: Path) -> None:
    assert detect("a.mp4", "--html", "a.html")[0] == 0
    said = "There is no player: no such file: a.mp4."
    assert said in checked((tmp_path / "a.html").read_text("utf-8")).text
    for words in (["--no-player"], ["--player-mb", "0"]):
        assert detect("a.mp4", "--html", "a.html", *words)[0] == 0
        assert (
            "player" not in checked((tmp_path / "a.html").read_text("utf-8")).text.split("How")[0]
        )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--no-player"], "--no-player has no effect without --html"),
        (["--player-mb", "3"], "--player-mb has no effect without --html"),
        (["--html", "a.html", "--no-player", "--player-mb", "3"], "contradict each other"),
    ],
)
def test_a_flag_of_players_without_effect_is_refused(detect, words: list[str], told: str) -> None:
    code, _, err = detect("a.mp4", *words)
    assert code == 2 and told in " ".join(err.split())


def test_a_page_never_replaces_a_video(detect, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("a video, let us say")
    code, _, err = detect("./a.html", "--html", "a.html")
    assert code == 2 and "would be overwritten" in err
    assert (tmp_path / "a.html").read_text() == "a video, let us say"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--html", "none/a.html"], 1, "cannot write none/a.html"),
        (["--html", "."], 2, "cannot write ."),
        (["--html", "r", "--json", "./r"], 2, "cannot both go to"),
        (["--html", "-", "--csv", "-"], 2, "--csv and --html cannot both go to stdout"),
    ],
)
def test_places_are_checked_before_the_work(
    detect, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, told: str
) -> None:
    monkeypatch.setattr(Detector, "detect", None)
    got, out, err = detect("a.mp4", *words)
    assert (got, out) == (code, "")
    assert told in err
