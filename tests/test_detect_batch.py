"""Batches of ``synctool detect``: results are on the disk, a killed batch goes on, memory stays flat."""

from __future__ import annotations

import csv
import gc
import json
import os
import pickle
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import flicker
from fake_results import inconclusive, made_result, series
from flicker import flicker_video
from synctool.cli.app import main
from synctool.errors import MediaError, SyncToolError
from synctool.journal import Journal
from synctool.measure import result_journal
from synctool.measure.detect import Detector, DetectProgress
from synctool.measure.result_journal import RESULTS, video_key
from synctool.measure.video_work import BUG, Measured, video_worker
from synctool.settings.detect import DetectSettings
from synctool.types import (
    AudioChannel,
    Authenticity,
    AuthenticitySign,
    AuthenticitySpan,
    DetectResult,
    MediaTrack,
    ScoreInterval,
    Source,
    SpeakerTurn,
)
from synctool.workers import Died

pytestmark = pytest.mark.integration

NAMES = ("a.mkv", "b.mkv", "c.mkv", "d.mkv")
OUTPUTS = ("--json", "r.jsonl", "--csv", "r.csv", "--html", "r.html")


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A current folder with four videos (made-up ones), a cache of its own, and the network of the tests."""
    for name in list(os.environ):
        if name.startswith("SYNCTOOL_"):
            monkeypatch.delenv(name)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name in NAMES:
        Path(name).write_text(name)
    monkeypatch.setenv("SYNCTOOL_CACHE", str(tmp_path / "cache"))
    with flicker.installed():
        yield


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return flicker.save_weights(tmp_path_factory.mktemp("w") / "flicker.safetensors")


class Bench:
    """Runs ``synctool detect`` on made-up answers, and notes what is measured."""

    def __init__(self, weights: Path) -> None:
        self.given = ["--backbone", "flicker", "--weights", str(weights), "--device", "cpu"]
        self.given += ["--detector", "whole"]
        self.measured: list[str] = []
        self.stop_at: str | None = None
        self.answer: Callable[[str], DetectResult] = lambda name: made_result(name)

    def __call__(self, *words: str) -> int:
        self.measured.clear()
        return main(["detect", *self.given, *words])

    def detect(self, name: str, **_: object) -> DetectResult:
        if name == self.stop_at:
            raise KeyboardInterrupt
        self.measured.append(name)
        return self.answer(name)

    def stopped(self, at: str, *words: str) -> None:
        """A run that is stopped when a video is begun."""
        self.stop_at = at
        assert self(*words) == 130
        self.stop_at = None


@pytest.fixture
def bench(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(weights)
    monkeypatch.setattr(Detector, "detect", lambda self, name, **more: made.detect(name, **more))
    return made


def journals() -> list[Path]:
    return sorted((Path(os.environ["SYNCTOOL_CACHE"]) / "journals").glob("*"))


def inputs(path: str) -> list[str]:
    return [json.loads(line)["input"] for line in Path(path).read_text().splitlines()]


# ------------------------------------------------------------------------------------------ killed

_CHILD = """
import os, sys, time
from dataclasses import replace
sys.path.insert(0, sys.argv[1])
import flicker
from synctool.cli.app import main
from synctool.measure.detect import DetectProgress, Detector

measure, hold = Detector.detect, os.environ.get("HOLD_AT")

def detect(self, name, **more):
    with open("measured", "a") as log:
        print(name, file=log)
    while name == hold:
        time.sleep(0.05)
    return replace(measure(self, name, **more), timing_s={"total": 1.0})

Detector.detect = detect
with flicker.installed():
    sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def child(weights: Path, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts ``synctool detect`` in a process of its own; times are the same in every run."""
    words = ["detect", "--backbone", "flicker", "--weights", str(weights), "--detector", "whole"]
    code = [sys.executable, "-c", _CHILD, str(Path(__file__).parent)]

    def start(folder: Path, *more: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*code, *words, "--device", "cpu", *more],
            cwd=folder, env={**os.environ, **env}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return start


def videos(folder: Path) -> Path:
    folder.mkdir()
    for number, name in enumerate(NAMES):
        flicker_video(folder / name, seconds=2, ahead_frames=number, seed=number)
    return folder


@pytest.fixture
def here(
    weights: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[[Path], tuple[str, str]]:
    """What ``child`` runs, in this process: gives what it printed on both streams."""
    measure = Detector.detect

    def detect(self: Detector, name: str, **more: object) -> DetectResult:
        with Path("measured").open("a") as log:
            print(name, file=log)
        return replace(measure(self, name, **more), timing_s={"total": 1.0})

    def run(folder: Path) -> tuple[str, str]:
        with monkeypatch.context() as patch:
            patch.setattr(Detector, "detect", detect)
            patch.chdir(folder)
            words = ["--weights", str(weights), "--detector", "whole", "--device", "cpu"]
            assert main(["detect", "--backbone", "flicker", *words, *NAMES, *OUTPUTS]) == 0
        return tuple(capfd.readouterr())

    return run


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_a_killed_batch_goes_on_and_ends_as_if_nothing_had_been(
    tmp_path: Path,
    child: Callable[..., subprocess.Popen[str]],
    here: Callable[[Path], tuple[str, str]],
) -> None:
    whole = videos(tmp_path / "whole")
    expected, _ = here(whole)
    killed = videos(tmp_path / "killed")
    first = child(killed, *NAMES, *OUTPUTS, HOLD_AT="c.mkv")
    until = time.monotonic() + 120
    while "c.mkv" not in lines_of(killed / "measured") and time.monotonic() < until:
        assert first.poll() is None, first.communicate()
        time.sleep(0.05)
    first.kill()
    first.communicate()
    assert first.returncode == (-signal.SIGKILL if os.name == "posix" else 1)
    assert inputs(str(killed / "r.jsonl")) == ["a.mkv", "b.mkv"], "rows come as they are finished"
    assert len((killed / "r.csv").read_text().splitlines()) == 3
    with (killed / "r.jsonl").open("a") as torn:
        torn.write('{"schema": "synct')  # what a crash of the machine may leave
    (killed / "measured").unlink()
    out, told = here(killed)
    assert lines_of(killed / "measured") == ["c.mkv", "d.mkv"]
    assert "has measured 2 of 4 videos" in told
    assert out == expected
    for name in OUTPUTS[1::2]:
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    assert [round(json.loads(line)["offset_frames"]) for line in lines_of(killed / "r.jsonl")] == [
        *(0, 1, 2, 3)
    ]
    assert journals() == []


# ----------------------------------------------------------------------------------------- stopped


def test_a_stopped_batch_says_that_it_can_go_on(bench: Bench, capfd) -> None:
    bench.stopped("c.mkv", *NAMES, "--json", "r.jsonl")
    assert "Stopped after 2 of 4 videos. The same command goes on" in capfd.readouterr().err
    assert inputs("r.jsonl") == ["a.mkv", "b.mkv"]
    assert bench(*NAMES, "--json", "r.jsonl") == 0
    assert bench.measured == ["c.mkv", "d.mkv"]
    assert inputs("r.jsonl") == list(NAMES)
    assert "2 of 4 videos" in capfd.readouterr().err
    assert bench(*NAMES) == 0
    assert bench.measured == list(NAMES), "a batch that was finished begins anew"
    assert capfd.readouterr().err == ""


def test_stdout_has_all_results_again(bench: Bench, capfd) -> None:
    bench.stopped("d.mkv", *NAMES, "--json", "-")
    capfd.readouterr()
    assert bench(*NAMES, "--json", "-") == 0
    out = capfd.readouterr().out
    assert [json.loads(line)["input"] for line in out.splitlines()] == list(NAMES)
    assert bench.measured == ["d.mkv"]


def test_other_outputs_of_the_same_batch_go_on_too(bench: Bench) -> None:
    bench.stopped("d.mkv", *NAMES, "--json", "r.jsonl")
    assert bench(*NAMES, "--csv", "r.csv", "--plot", "plots") == 0
    assert bench.measured == ["d.mkv"]
    with open("r.csv", newline="") as file:
        assert [row["input"] for row in csv.DictReader(file)] == list(NAMES)
    assert len(os.listdir("plots")) == 4


@pytest.mark.parametrize(
    "words", [("--max-offset", "20"), ("--max-faces", "2"), ("--fresh",), ("--channel", "mix")]
)
def test_other_settings_measure_again(bench: Bench, words: tuple[str, ...]) -> None:
    bench.stopped("d.mkv", *NAMES)
    assert bench(*NAMES, *words) == 0
    assert bench.measured == list(NAMES)


def test_other_weights_measure_again(bench: Bench, weights: Path, tmp_path: Path) -> None:
    bench.stopped("d.mkv", *NAMES)
    same_name = tmp_path / "other" / weights.name
    same_name.parent.mkdir()
    flicker.save_weights(same_name, zero_frames="1.0")
    assert bench(*NAMES, "--weights", str(same_name)) == 0
    assert bench.measured == list(NAMES)


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_video_that_changed_is_measured_again(bench: Bench, change: str) -> None:
    bench.stopped("d.mkv", *NAMES)
    if change == "size":
        stamp = os.stat("b.mkv")
        Path("b.mkv").write_text("longer")
        os.utime("b.mkv", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    else:
        os.utime("b.mkv", (1, 1))
    assert bench(*NAMES, "--json", "r.jsonl") == 0
    assert bench.measured == ["b.mkv", "d.mkv"]
    assert inputs("r.jsonl") == list(NAMES)


def test_a_folder_may_have_more_videos_the_next_time(bench: Bench) -> None:
    os.mkdir("season")
    for name in ("b.mkv", "d.mkv"):
        os.rename(name, f"season/{name}")
    bench.stopped("season/d.mkv", "season")
    os.rename("a.mkv", "season/a.mkv")
    assert bench("season", "--json", "r.jsonl") == 0
    assert bench.measured == ["season/a.mkv", "season/d.mkv"]
    assert inputs("r.jsonl") == ["season/a.mkv", "season/b.mkv", "season/d.mkv"]


def test_the_same_names_in_another_folder_are_other_videos(bench: Bench, monkeypatch) -> None:
    bench.stopped("d.mkv", *NAMES)
    os.mkdir("there")
    for name in NAMES:
        os.link(name, f"there/{name}")
    monkeypatch.chdir("there")
    bench(*NAMES)
    assert bench.measured == list(NAMES)


def test_a_video_that_failed_is_tried_again(bench: Bench) -> None:
    def fails(name: str) -> DetectResult:
        if name == "b.mkv":
            raise MediaError("the disk was not there")
        return made_result(name)

    bench.answer = fails
    bench.stopped("d.mkv", *NAMES)
    bench.answer = made_result
    assert bench(*NAMES, "--json", "r.jsonl") == 0
    assert bench.measured == ["b.mkv", "d.mkv"]
    assert inputs("r.jsonl") == list(NAMES)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_what_cannot_be_known_again_is_measured_again(bench: Bench) -> None:
    os.mkfifo("pipe.mkv")
    Path("list.m3u8").write_text("#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:1,\na.mkv\n#EXT-X-ENDLIST\n")
    Path("list.txt").write_text("ffconcat version 1.0\nfile a.mkv\n")
    names = ("pipe.mkv", "list.m3u8", "list.txt", "gone.mkv", *NAMES)
    assert [video_key(name) for name in names[:4]] == [None] * 4
    assert video_key("-") is None
    bench.stopped("d.mkv", *names)
    assert bench(*names, "--csv", "r.csv") == 0
    assert bench.measured == [*names[:4], "d.mkv"]
    assert journals() == []


# -------------------------------------------------------------------------------------------- jobs


class LastFirst:
    """In place of a worker pool: the last video is done first, ``b.mkv`` kills its workers."""

    def __init__(self) -> None:
        self.tasks: list[str] = []
        self.stop_at: str | None = None

    def __call__(self, make, names, *, workers: int, on_told) -> Iterator[tuple[str, object]]:
        assert workers == 2
        assert pickle.loads(pickle.dumps(make)).func is video_worker
        for name in reversed(names):
            if name == self.stop_at:
                raise KeyboardInterrupt
            self.tasks.append(name)
            on_told(name, DetectProgress(25, 50))
            died = name == "b.mkv"
            yield name, Died("killed") if died else Measured(made_result(name))


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> LastFirst:
    made = LastFirst()
    monkeypatch.setattr("synctool.workers.in_workers", made)
    return made


def test_jobs_note_what_is_done_and_give_it_in_order(bench: Bench, pool: LastFirst, capfd) -> None:
    pool.stop_at = "c.mkv"
    assert bench(*NAMES, *OUTPUTS, "--jobs", "2") == 130
    assert "Stopped after 1 of 4 videos." in capfd.readouterr().err
    pool.stop_at = None
    assert bench(*NAMES, *OUTPUTS, "--jobs", "2") == 1
    assert pool.tasks == ["d.mkv", "c.mkv", "b.mkv", "a.mkv"], "each once"
    assert bench.measured == []
    rows = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    assert [row["input"] for row in rows] == list(NAMES)
    assert [row.get("error") for row in rows] == [None, "b.mkv: killed", None, None]
    assert "b.mkv: killed" in capfd.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_pipes_are_not_for_workers(bench: Bench, pool: LastFirst) -> None:
    os.mkfifo("pipe.mkv")
    assert bench("a.mkv", "pipe.mkv", "c.mkv", "--json", "r.jsonl", "--jobs", "2") == 0
    assert (bench.measured, pool.tasks) == (["pipe.mkv"], ["c.mkv", "a.mkv"])
    assert inputs("r.jsonl") == ["a.mkv", "pipe.mkv", "c.mkv"]


def test_what_a_worker_of_detect_begins_with(bench: Bench) -> None:
    def answer(name: str) -> DetectResult:
        if name == "b.mkv":
            raise ZeroDivisionError("odd")
        return made_result(name)

    bench.answer = answer
    settings = DetectSettings(
        backbone="flicker", weights=Path(bench.given[3]), device="cpu", detector="whole"
    )
    work, told = video_worker(settings, False, 1), []
    assert work("a.mkv", told.append) == Measured(made_result("a.mkv"))
    assert told == [DetectProgress(0, None)]
    failed = pickle.loads(pickle.dumps(work("b.mkv", told.append))).outcome
    assert isinstance(failed, SyncToolError)
    assert (failed.cause, failed.remedy) == ("ZeroDivisionError: odd", BUG)


# ------------------------------------------------------------------------------- journals themselves


def test_a_journal_stays_until_everything_is_written(bench: Bench, monkeypatch) -> None:
    def full(name: str) -> DetectResult:
        if name == "d.mkv":
            os.mkdir("r.html")  # nobody looks again before the end
        return made_result(name)

    bench.answer = full
    assert bench(*NAMES, "--html", "r.html") == 1
    assert len(journals()) == 1
    os.rmdir("r.html")
    assert bench(*NAMES, "--html", "r.html") == 0
    assert bench.measured == []
    assert journals() == []


def test_a_plot_that_cannot_be_written_keeps_the_journal(bench: Bench) -> None:
    os.makedirs("plots/b.mkv.png")
    assert bench(*NAMES, "--plot", "plots") == 1
    os.rmdir("plots/b.mkv.png")
    assert bench(*NAMES, "--plot", "plots") == 0
    assert bench.measured == []


def test_one_video_needs_no_journal(bench: Bench) -> None:
    assert bench("a.mkv", "--json", "r.json") == 0
    assert not (Path(os.environ["SYNCTOOL_CACHE"]) / "journals").exists()


def test_the_same_command_twice_at_a_time(bench: Bench) -> None:
    """Neither harms the other; the second keeps its results to itself."""

    def again(name: str) -> DetectResult:
        if name == "c.mkv" and bench.measured.count("c.mkv") == 1:
            assert main(["detect", *bench.given, *NAMES, "--json", "other.jsonl"]) == 0
        return made_result(name)

    bench.answer = again
    assert bench(*NAMES, "--json", "r.jsonl") == 0
    assert bench.measured == ["a.mkv", "b.mkv", "c.mkv", *NAMES, "d.mkv"]
    assert Path("other.jsonl").read_bytes() == Path("r.jsonl").read_bytes()
    assert journals() == []


def test_a_cache_folder_that_cannot_be_written_costs_the_going_on_only(
    bench: Bench, monkeypatch, tmp_path: Path, capfd
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SYNCTOOL_CACHE", str(tmp_path / "file"))
    assert bench(*NAMES, "--json", "r.jsonl") == 0
    assert inputs("r.jsonl") == list(NAMES)
    assert "could not go on after a crash" in capfd.readouterr().err


def test_damaged_journals_cost_nothing_but_time(bench: Bench) -> None:
    bench.stopped("d.mkv", *NAMES)
    (path,) = journals()
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"coverage": 0.97', b'"coverage": "x"', 1))
    assert bench(*NAMES) == 0
    assert bench.measured == ["a.mkv", "d.mkv"]
    path.write_bytes(b"no journal\n" + whole)
    assert bench(*NAMES, "--json", "r.jsonl") == 0
    assert bench.measured == list(NAMES)
    assert inputs("r.jsonl") == list(NAMES)


def test_journals_that_nobody_goes_on_with_are_removed(bench: Bench) -> None:
    bench.stopped("d.mkv", *NAMES)
    bench.stopped("d.mkv", *NAMES, "--max-offset", "20")
    old, recent = journals()
    os.utime(old, (1, 1))
    bench("a.mkv", "b.mkv")
    assert journals() == [recent]


def exact(**changes: object) -> DetectResult:
    track = MediaTrack("audio", 1, "aac", True, "why", "de", "t", ("default", "comment"), 6, "5.1")
    source = Source(1 / 3, 25, -0.0, 1e-17, 1, 2, 48_000, ("w", "\udcff"), 90, (track,), "FL")
    return made_result(source=source, confidence=2 / 3, offset_frames=0.1 + 0.2, **changes)


@pytest.mark.parametrize(
    "result",
    [
        exact(),
        exact(frames=series(None, 1 / 7, 3), drift_ms_per_min=None, timing_s={"total": 1 / 9}),
        exact(min_distance=float("inf"), name="b \udcff\n\x1b.mp4"),
        inconclusive("no speech", segments=(), tracks=()),
    ],
)
def test_a_result_comes_back_with_every_digit(tmp_path: Path, result: DetectResult) -> None:
    for _ in range(2):
        with Journal(tmp_path / "j", {}, RESULTS) as journal:
            journal.add("k", result.input, [result])
            assert journal.read("k").rows == (result,)
            assert repr(journal.read("k").rows[0]) == repr(result)


def test_numbers_of_numpy_come_back_as_they_are(tmp_path: Path) -> None:
    numbers = {
        "confidence": np.float32(0.1),
        "coverage": np.float64(0.1),
        "max_offset": np.int64(15),
    }
    with Journal(tmp_path / "j", {}, RESULTS) as journal:
        result = replace(exact(), **numbers)
        journal.add("n", "a", [result])
        (back,) = journal.read("n").rows
    assert back.to_dict() == result.to_dict()
    assert (back.confidence, type(back.max_offset)) == (float(np.float32(0.1)), int)


# ------------------------------------------------------------------------------------------ memory


def test_no_result_stays_in_memory(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not while the videos are measured, and not when results are read back for the page and the table."""
    alive: weakref.WeakSet[DetectResult] = weakref.WeakSet()
    most = 0

    class Watched(DetectResult):
        """Compared by identity, as sets of weak references ask for."""

        __hash__ = object.__hash__
        __eq__ = object.__eq__

    def seen(result: DetectResult) -> DetectResult:
        nonlocal most
        gc.collect(1)  # a result that a cycle of references held on to would count as alive
        watched = Watched(**vars(result))
        alive.add(watched)
        most = max(most, len(alive))
        return watched

    names = [f"{number}.mkv" for number in range(6)]
    for name in names:
        Path(name).write_text(name)
    read = result_journal._from_row
    monkeypatch.setattr(
        result_journal, "RESULTS", replace(RESULTS, from_dict=lambda row: seen(read(row)))
    )
    bench.answer = lambda name: seen(made_result(name))
    assert bench(*names, *OUTPUTS, "--plot", "plots") == 0
    assert inputs("r.jsonl") == names
    assert 1 <= most <= 3


def test_a_row_of_the_journal_has_all_of_a_result() -> None:
    score = ScoreInterval(0.1, 0.05, 0.2)
    span = AuthenticitySpan(0, 0.0, 4.0, "natural", 3.5, score, None, ("They match.",))
    sign = AuthenticitySign("still", 0, 1.0, 2.0)
    result = made_result(
        authenticity=Authenticity("natural", score, score, ("They match.",), (span,), (sign,)),
        audio_channels=(AudioChannel("L", -20.0, None, False, 0.9, 1.0, reference=True),),
        drift_interval_ms_per_min=(-1.5, 2.0),
        speakers=(SpeakerTurn(0, 0.5, 1.5, 0.9),),
    )
    row = json.loads(json.dumps(RESULTS.to_dict(result)))
    assert RESULTS.from_dict(row) == result
