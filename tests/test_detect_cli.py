"""``synctool detect`` as a person and a program meet it: words, streams, files, exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from matplotlib.image import imread

import flicker
from fake_results import inconclusive, made_result
from flicker import flicker_video
from synctool.cli.app import main
from synctool.errors import MediaError, MissingError
from synctool.measure.detect import Detector, DetectProgress
from synctool.types import DetectResult, Segment

pytestmark = pytest.mark.integration

posix_only = pytest.mark.skipif(os.name != "posix", reason="such names need POSIX")
not_root = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="nothing is forbidden to the superuser"
)
KEYS = set(
    "schema input backbone weights runtime synctool source offset_frames offset_ms audio_is confidence"
    " audio_belongs verdict reason max_offset coverage verdict_coverage drift_ms_per_min"
    " drift_interval_ms_per_min"
    " syncnet_confidence min_distance"
    " segments tracks speakers frames reason_code timing_s authenticity audio_channels audio_direction scene"
    " offset_set ensemble".split()
)


@dataclass(frozen=True)
class Ran:
    """What a run left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        """The one object on stdout."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[dict]:
        """The objects on stdout, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    def failed(self, code: int, *told: str) -> None:
        """One error of two lines or more, what and how to fix it, and nothing else."""
        assert self.code == code, self.err
        assert self.err.count("error: ") == 1, self.err
        assert self.err.startswith("error: "), self.err
        assert len(self.err.splitlines()) >= 2, f"no remedy: {self.err}"
        assert "Traceback" not in self.err
        assert self.out == ""
        for part in told:
            assert part in self.err, self.err


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A current folder of its own, no settings from outside, and the network of the tests."""
    for name in list(os.environ):
        if name.startswith("SYNCTOOL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNCTOOL_CACHE", str(tmp_path / "cache"))
    with flicker.installed():
        yield


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A video of two seconds with the audio three frames ahead."""
    return flicker_video(
        tmp_path_factory.mktemp("film") / "a.mkv", seconds=2, ahead_frames=3
    ).read_bytes()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs ``synctool detect`` with some words."""

    def call(*words: object) -> Ran:
        capsys.readouterr()
        code = main(["detect", *map(str, words)])
        return Ran(code, *capsys.readouterr())

    return call


@pytest.fixture
def measure(run, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Ran]:
    """The same with the network of the tests, on frames that are all face."""
    path = flicker.save_weights(tmp_path_factory.mktemp("w") / "flicker.safetensors")
    given = ("--backbone", "flicker", "--weights", path, "--device", "cpu")

    def call(*words: object, detector: str = "whole") -> Ran:
        return run(*given, "--detector", detector, *words)

    return call


Behaviour = DetectResult | BaseException | Callable[[str], DetectResult]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch, measure) -> Callable[..., Callable[..., Ran]]:
    """Makes the detector give results or raise errors, one a video, and gives ``measure``."""

    def use(*behaviours: Behaviour) -> Callable[..., Ran]:
        left = list(behaviours)

        def detect(self: Detector, path: str, *, on_progress=None, **_: object) -> DetectResult:
            behaviour = left.pop(0)
            if isinstance(behaviour, BaseException):
                raise behaviour
            if on_progress:
                on_progress(DetectProgress(0, None))
                on_progress(DetectProgress(25, 100))
            return replace(behaviour, input=path)

        monkeypatch.setattr(Detector, "detect", detect)
        return measure

    return use


# ------------------------------------------------------------------------------- videos that are bad


def test_a_missing_video(measure) -> None:
    measure("gone.mp4").failed(5, "no such file: gone.mp4", "spelling")


def test_a_folder_in_a_list_of_videos_may_be_empty_only_before_the_work(measure) -> None:
    os.mkdir("empty")
    measure("empty").failed(5, "no videos below empty", "folder that holds videos")


@not_root
def test_an_unreadable_folder(measure, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    measure("closed").failed(5, "cannot read closed", "permissions")


def test_no_face(measure, tmp_path: Path, video: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(video)
    ran = measure("a.mp4", detector="centerface")
    assert ran.code == 3
    assert "no face was found" in ran.out


# ------------------------------------------------------------------------------------------ names


@posix_only
@pytest.mark.parametrize(
    "name",
    [
        'it\'s a "video".mp4',
        "-dash.mp4",
        "take[1]*?.mp4",
        "100%d$HOME;`id`&.mp4",
        "[bold]red.mp4",
        os.fsdecode(b"caf\xe9.mkv"),
        "new\nline.mp4",
        "a" * 200 + ".mp4",
    ],
)
def test_videos_of_any_name(measure, tmp_path: Path, video: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(video)
    ran = measure("--json", "-", "--", name)
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["input"] == name
    assert ran.json["audio_is"] == "ahead"


@posix_only
def test_a_name_with_control_characters_cannot_write_on_the_terminal(measure, tmp_path) -> None:
    name = "evil\x1b[31m.mp4"
    (tmp_path / name).write_text("x" * 100)
    ran = measure(name)
    assert ran.code == 1
    assert "\x1b" not in ran.err
    assert "evil\\x1b[31m.mp4" in ran.err


# ----------------------------------------------------------------------------------------- places


@pytest.mark.parametrize("option", ["--json", "--csv", "--plot"])
@pytest.mark.parametrize("target", ["none/out", "."])
def test_where_nothing_can_be_written_is_found_before_the_work(
    answers, option: str, target: str
) -> None:
    run = answers()  # no behaviour left: measuring anything would fail
    if (option, target) == ("--plot", "."):
        return  # a folder is fine for plots
    run("a.mp4", option, target).failed(2 if target == "." else 1, f"cannot write {target}")


def test_a_plot_of_an_unknown_kind_is_found_before_the_work(answers) -> None:
    answers()("a.mp4", "--plot", "a.bmp").failed(2, ".bmp", ".png")


def test_a_plot_folder_that_is_a_file(answers, tmp_path: Path) -> None:
    (tmp_path / "plots").touch()
    answers()("a.mp4", "b.mp4", "--plot", "plots").failed(2, "plots is a file")


@not_root
def test_a_folder_without_permission(answers, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o555)
    answers()("a.mp4", "--json", "closed/a.json").failed(1, "cannot write", "permissions")


@pytest.mark.parametrize("option", ["--json", "--csv", "--plot"])
def test_a_result_never_replaces_a_video(answers, tmp_path: Path, option: str) -> None:
    (tmp_path / "a.png").write_text("a video, let us say")
    answers()("./a.png", option, "a.png").failed(2, "would be overwritten", "another name")
    assert (tmp_path / "a.png").read_text() == "a video, let us say"


@pytest.mark.parametrize("option", ["--json", "--csv", "--html"])
def test_a_report_never_replaces_another_video(answers, tmp_path: Path, option: str) -> None:
    (tmp_path / "b.MP4").write_text("another video")
    answers()("a.mp4", option, "b.MP4").failed(2, "would replace a video", "another name")
    assert (tmp_path / "b.MP4").read_text() == "another video"


def test_two_results_in_one_place(answers) -> None:
    answers()("a.mp4", "--json", "-", "--csv", "-").failed(2, "cannot both go to stdout")
    answers()("a.mp4", "--json", "r", "--csv", "./r").failed(2, "cannot both go to")
    answers()("a.mp4", "--fresh").failed(2, "no effect on a single video")
    ran = answers(made_result())("a.mp4", "--json", os.devnull, "--csv", os.devnull, "-q")
    assert ran.code == 0


# ---------------------------------------------------------------------------------------- weights


def test_weights_to_be_fetched_say_how(run) -> None:
    ran = run("a.mp4", "--backbone", "syncnet")
    ran.failed(5, "syncnet_v2.model", "synctool download syncnet", "--weights FILE")


def test_a_network_without_weights_gives_the_command_that_trains_it(run) -> None:
    ran = run("a.mp4", "--backbone", "fcn-cls.rgb112")
    ran.failed(5, "no trained weights", "synctool train --backbone fcn-cls.rgb112")


def test_an_unknown_network_gets_a_suggestion(run) -> None:
    run("a.mp4", "--backbone", "fcn-csl").failed(2, "'fcn-csl'", "Did you mean fcn-cls")


# -------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize("value", ["126", "many"])
def test_a_range_beyond_the_limits(run, value: str) -> None:
    ran = run("a.mp4", "--max-offset", value)
    assert (ran.code, ran.out) == (2, "")
    assert "Traceback" not in ran.err
    assert "--max-offset" in ran.err


def test_a_device_that_is_not_here(measure) -> None:
    if torch.cuda.is_available():
        pytest.skip("it is here")
    measure("a.mp4", "--device", "cuda").failed(5, "no cuda device", "--device cpu")


def test_the_environment_chooses_the_network(run, tmp_path, video: bytes, monkeypatch) -> None:
    path = flicker.save_weights(tmp_path / "w.safetensors")
    (tmp_path / "a.mp4").write_bytes(video)
    monkeypatch.setenv("SYNCTOOL_DETECT_BACKBONE", "flicker")
    monkeypatch.setenv("SYNCTOOL_DETECT_DETECTOR", "whole")
    monkeypatch.setenv("SYNCTOOL_DETECT_MAX_OFFSET", "20")
    ran = run("a.mp4", "--weights", path, "--json", "-")
    assert (ran.json["backbone"], ran.json["max_offset"]) == ("flicker", 20)


@pytest.mark.parametrize("limit", ["nan", "45ms"])
def test_a_limit_that_is_none(answers, limit: str) -> None:
    answers()("a.mp4", "--fail-over", limit).failed(
        2, "--fail-over", "neither detectable, nor unacceptable"
    )


# ----------------------------------------------------------------------------------------- output


def test_a_person_gets_a_sentence_first(measure, tmp_path: Path, video: bytes) -> None:
    (tmp_path / "talk.mp4").write_bytes(video)
    ran = measure("talk.mp4")
    assert (ran.code, ran.err) == (0, "")
    first = ran.out.splitlines()[0]
    assert first.startswith("talk.mp4: audio is 12") and "ahead of the video" in first
    assert first.endswith(("delay the audio by 120 ms", "delay the audio by 121 ms"))
    assert "flicker (flicker sha256:" in ran.out


def test_json_of_one_video_is_one_object_with_the_keys_of_the_contract(measure, tmp_path) -> None:
    flicker_video(tmp_path / "talk.mp4", ahead_frames=-3)
    ran = measure("talk.mp4", "--json", "-")
    assert set(ran.json) == KEYS
    assert ran.json["schema"] == "synctool.detect/1"
    assert ran.json["input"] == "talk.mp4"
    assert ran.json["audio_is"] == "behind"
    assert ran.json["offset_ms"] == pytest.approx(-120, abs=6)
    assert (ran.code, ran.err) == (0, "")


def test_json_of_several_videos_is_one_line_each(answers) -> None:
    bad = MediaError("b.mp4 has no audio track", remedy="Give one.")
    ran = answers(made_result(), bad, inconclusive("no speech"))(
        "a.mp4", "b.mp4", "c.mp4", "--json", "-"
    )
    good, failure, unknown = ran.lines
    assert set(good) == set(unknown) == KEYS
    assert failure == {
        "schema": "synctool.failure/1",
        "input": "b.mp4",
        "error": "b.mp4 has no audio track",
        "remedy": "Give one.",
        "exit_code": 1,
    }
    assert ran.err == "error: b.mp4 has no audio track\nGive one.\n"


@pytest.mark.parametrize("words", [["season"], ["season/*.mp4"], ["--from-file", "list"]])
def test_a_folder_a_glob_or_a_list_of_one_video_is_one_line(answers, tmp_path, words) -> None:
    """The form hangs on the words: a program that reads lines need not count videos first."""
    (tmp_path / "season").mkdir()
    (tmp_path / "season" / "a.mp4").touch()
    (tmp_path / "list").write_text("season/a.mp4\n")
    ran = answers(made_result())(*words, "--json", "-", "--plot", "plots")
    assert [line["input"] for line in ran.lines] == ["season/a.mp4"]
    assert [p.name for p in (tmp_path / "plots").iterdir()] == ["a.mp4.png"]
    shown = answers(made_result())(*words).out
    assert shown.startswith("season/a.mp4: audio is 120 ms ahead"), "a person gets all about it"


def test_failures_are_valid_json_too(measure, tmp_path: Path) -> None:
    ran = measure("gone.mp4", "--json", "-")
    assert ran.code == 5
    assert ran.json["schema"] == "synctool.failure/1"
    assert ran.json["exit_code"] == 5
    assert ran.err.count("error: ") == 1


def test_lines_come_as_soon_as_they_can(answers, monkeypatch) -> None:
    """Somebody may be reading."""
    seen: list[str] = []
    monkeypatch.setattr(sys, "stdout", text := io.StringIO())

    def note(name: str) -> DetectResult:
        seen.append(text.getvalue())
        return made_result(name)

    run = answers()
    monkeypatch.setattr(Detector, "detect", lambda self, path, **_: note(path))
    run("a.mp4", "b.mp4", "--json", "-")
    assert seen[0] == ""
    assert json.loads(seen[1])["input"] == "a.mp4"


def test_csv(answers, tmp_path: Path) -> None:
    bad = MissingError("no such file: b.mp4", remedy="Look.")
    ran = answers(made_result(), bad)("a.mp4", "b.mp4", "--csv", "-")
    one, two = csv.DictReader(io.StringIO(ran.out))
    assert (one["input"], one["offset_ms"], one["error"]) == ("a.mp4", "120", "")
    assert (two["input"], two["error"]) == ("b.mp4", "no such file: b.mp4. Look.")
    ran = answers(made_result())("a.mp4", "--csv", "a.csv", "--json", "-")
    assert ran.json["input"] == "a.mp4"
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 2


def test_results_in_files_and_on_the_screen(answers, tmp_path: Path) -> None:
    ran = answers(made_result())("a.mp4", "--json", "a.json", "--csv", "a.csv", "--plot", "a.png")
    assert ran.out.startswith("a.mp4: audio is 120 ms ahead")
    assert json.loads((tmp_path / "a.json").read_text())["offset_ms"] == 120
    assert imread(tmp_path / "a.png").shape[1] == 1500
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "a.json", "a.png"]


def test_plots_of_several_videos_go_into_a_folder(answers, tmp_path: Path) -> None:
    long = "ü" * 125 + ".mp4"
    run = answers(made_result(), made_result(), MediaError("no"), made_result(), made_result())
    ran = run("1/a.mp4", "2/a.mp4", "c.mp4", "A.mp4", long, "--plot", "new/plots", "-q")
    names = sorted(p.name for p in (tmp_path / "new" / "plots").iterdir())
    assert names[:3] == ["A.mp4-3.png", "a.mp4-2.png", "a.mp4.png"]
    assert names[3].startswith("ü" * 100) and names[3].endswith("ü.png")
    assert ran.out == ""


def test_a_plot_of_one_video_into_a_folder(answers, tmp_path: Path) -> None:
    (tmp_path / "plots").mkdir()
    answers(made_result())("a.mp4", "--plot", "plots", "-q")
    answers(made_result())("a.mp4", "--plot", "new/", "-q")
    assert (tmp_path / "plots" / "a.mp4.png").is_file()
    assert (tmp_path / "new" / "a.mp4.png").is_file()


def test_a_plot_that_cannot_be_written_costs_nothing_else(answers, tmp_path: Path) -> None:
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "a.mp4.png").mkdir()
    ran = answers(made_result(), made_result())("a.mp4", "b.mp4", "--plot", "plots", "--json", "-")
    assert ran.code == 1
    assert [line["input"] for line in ran.lines] == ["a.mp4", "b.mp4"]
    assert (tmp_path / "plots" / "b.mp4.png").is_file()
    assert ran.err.count("error: ") == 1


def test_quiet_prints_errors_only(answers) -> None:
    ran = answers(made_result(), MediaError("b.mp4 is bad", remedy="Fix it."))(
        "a.mp4", "b.mp4", "--quiet"
    )
    assert (ran.out, ran.err) == ("", "error: b.mp4 is bad\nFix it.\n")


def test_the_summary_of_several_videos(answers) -> None:
    ran = answers(made_result(), MediaError("b.mp4 is bad"))("a.mp4", "b.mp4")
    heading, one, two, total = ran.out.splitlines()
    assert total == "2 videos: 1 unacceptable, 1 failed"
    assert heading.split()[:2] == ["Video", "Verdict"]
    assert one.split()[:2] == ["a.mp4", "unacceptable"]
    assert two.split()[:4] == ["b.mp4", "failed", "-", "-"]
    assert two.endswith(" is bad") and "b.mp4 is bad" not in two


# ------------------------------------------------------------------------------------- exit codes


def at(ms: float, verdict: str, *more: Segment) -> DetectResult:
    frames = ms / 40
    return made_result(
        offset_frames=frames, verdict=verdict, segments=(Segment(0, 2, frames, 0.9), *more)
    )


FINE, SEEN, BAD = at(20, "in sync"), at(-150, "detectable"), at(120, "unacceptable")


@pytest.mark.parametrize(
    ("result", "limit", "code"),
    [
        (FINE, None, 0),
        (BAD, None, 0),
        (FINE, "detectable", 0),
        (SEEN, "detectable", 4),
        (BAD, "detectable", 4),
        (SEEN, "unacceptable", 0),
        (BAD, "unacceptable", 4),
        (FINE, "20", 0),
        (FINE, "19", 4),
        (SEEN, "149.5", 4),
        (SEEN, "-150", 0),
        (at(20, "unacceptable", Segment(2, 4, -5.0, 0.8)), "150", 4),
        (at(20, "in sync", Segment(2, 4, -5.0, 0.3)), "150", 0),  # too unsure to count
        (inconclusive("no speech"), None, 3),
        (inconclusive("no speech"), "detectable", 3),
        (inconclusive("no speech"), "10", 3),
    ],
)
def test_the_limit_of_tolerance(answers, result, limit, code: int) -> None:
    words = [] if limit is None else ["--fail-over", limit]
    assert answers(result)("a.mp4", "-q", *words).code == code


MISSING = MissingError("no such file", remedy="Look.")
BROKEN = MediaError("no video", remedy="Look.")


@pytest.mark.parametrize(
    ("behaviours", "code"),
    [
        ((FINE, FINE), 0),
        ((inconclusive("x"), FINE), 3),
        ((inconclusive("x"), BAD), 4),
        ((MISSING, BAD), 5),
        ((MISSING, BROKEN), 1),
        ((BAD, BROKEN, inconclusive("x")), 1),
    ],
)
def test_a_batch_goes_on_and_returns_the_worst(answers, behaviours, code: int) -> None:
    names = [f"{i}.mp4" for i in range(len(behaviours))]
    ran = answers(*behaviours)(*names, "--fail-over", "unacceptable", "--json", "-")
    assert ran.code == code
    assert [line["input"] for line in ran.lines] == names


def test_videos_with_one_name_are_told_apart(answers) -> None:
    bad = MediaError("a.mp4 has no audio track", remedy="Give one.")
    ran = answers(FINE, bad)("1/a.mp4", "2/a.mp4", "-q")
    assert ran.err.startswith("error: 2/a.mp4 has no audio track\n")
    ran = answers(FINE, MediaError("no good"))("1/a.mp4", "2/a.mp4", "-q")
    assert ran.err == "error: 2/a.mp4: no good\n"


def test_a_bug_with_one_video_does_not_cost_the_others(answers) -> None:
    ran = answers(FINE, ZeroDivisionError("oh\nno"), FINE)("a.mp4", "b.mp4", "c.mp4", "--json", "-")
    assert ran.code == 1
    assert [line["input"] for line in ran.lines] == ["a.mp4", "b.mp4", "c.mp4"]
    assert ran.lines[1]["error"] == "b.mp4: ZeroDivisionError: oh no"
    assert ran.err.startswith("error: b.mp4: ZeroDivisionError: oh no\n")
    assert "--debug" in ran.err
    assert "Traceback" not in ran.err


def test_a_bug_with_the_only_video(answers) -> None:
    answers(ZeroDivisionError("oh"))("a.mp4").failed(1, "ZeroDivisionError: oh", "--debug")


@pytest.mark.parametrize("videos", [["a.mp4"], ["a.mp4", "b.mp4"]])
def test_debug_shows_where(answers, videos: Sequence[str]) -> None:
    ran = answers(MediaError("bad", remedy="Fix it."), FINE)(*videos, "--debug", "-q")
    assert ran.code == 1
    assert "Traceback" in ran.err
    assert ran.err.endswith("error: a.mp4: bad\nFix it.\n")


# --------------------------------------------------------------------------------------- stopping


def test_an_interrupted_batch_keeps_what_is_done(answers, tmp_path: Path) -> None:
    names = ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
    run = answers(FINE, SEEN, KeyboardInterrupt(), FINE)
    ran = run(*names, "--json", "r.jsonl", "--csv", "r.csv", "--plot", "plots")
    assert ran.code == 130
    lines = (tmp_path / "r.jsonl").read_text().splitlines()
    assert [json.loads(line)["input"] for line in lines] == ["a.mp4", "b.mp4"]
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 3
    assert len(list((tmp_path / "plots").iterdir())) == 2
    assert "Traceback" not in ran.err
    assert len(ran.out.splitlines()) == 4, "a heading, two videos and their number"


def test_an_interrupted_batch_on_stdout(answers) -> None:
    ran = answers(FINE, SEEN, KeyboardInterrupt())("a", "b", "c", "--json", "-")
    assert ran.code == 130
    assert [line["input"] for line in ran.lines] == ["a", "b"]


def test_an_interrupted_single_video_writes_nothing(answers, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("old")
    ran = answers(KeyboardInterrupt())("a.mp4", "--json", "r.json")
    assert (ran.code, ran.out) == (130, "")
    assert (tmp_path / "r.json").read_text() == "old"


def test_a_reader_that_goes_away_ends_the_work(answers, monkeypatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

        def fileno(self) -> int:
            return os.open(os.devnull, os.O_WRONLY)

    measured = []
    run = answers()

    def detect(self: Detector, path: str, *, on_progress=None, **_: object) -> DetectResult:
        measured.append(path)
        return made_result(path)

    monkeypatch.setattr(Detector, "detect", detect)
    monkeypatch.setattr(sys, "stdout", Gone())
    ran = run("a.mp4", "b.mp4", "c.mp4", "--json", "-")
    assert ran.code == 141
    assert measured == ["a.mp4"]
    assert ran.err == ""


# --------------------------------------------------------------------------------- videos in bulk


def test_folders_globs_and_lists(measure, tmp_path: Path, video: bytes, monkeypatch) -> None:
    for name in ("season/1/a.mkv", "season/2/b.MKV", "extra[1].mkv", "extra2.mkv", "c.mkv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(video)
    (tmp_path / "season" / "1" / "notes.txt").write_text("no video")
    (tmp_path / "list.txt").write_text("# more\nc.mkv\n")
    ran = measure("season", "extra[1].mkv", "ext*.mkv", "--from-file", "list.txt", "--json", "-")
    assert [line["input"] for line in ran.lines] == [
        *("season/1/a.mkv", "season/2/b.MKV"),
        *("extra[1].mkv", "extra2.mkv", "c.mkv"),
    ]
    assert ran.err == ""
    monkeypatch.setattr(sys, "stdin", io.StringIO("c.mkv\n"))
    ran = measure("--from-file", "-", "--json", "-")
    assert [line["input"] for line in ran.lines] == ["c.mkv"]


def test_nothing_to_measure(measure) -> None:
    measure().failed(2, "no videos given", "--from-file")
    measure("--from-file", "none.txt").failed(5, "no such list: none.txt")


def test_progress_and_errors_on_a_terminal(answers, monkeypatch) -> None:
    """The bar leaves nothing behind, and the panel of an error stands on lines of its own."""
    monkeypatch.setattr(sys, "stderr", screen := io.StringIO())
    screen.isatty = lambda: True
    for name, value in {"TERM": "xterm", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    answers(FINE, MediaError("b.mp4 is bad", remedy="Fix it."), FINE)(
        "a.mp4", "b.mp4", "[red]c.mp4"
    )
    text = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())  # without colours
    assert "1/3 a.mp4" in text and "3/3 [red]c.mp4" in text
    before, panel = text.split("╭─ Error", 1)
    assert before.endswith(("\x1b[2K", "\n")), "the line of the bar was not cleared"
    assert "b.mp4 is bad" in panel.splitlines()[1]
    assert "0%" not in text, "nothing is known of the length yet"
