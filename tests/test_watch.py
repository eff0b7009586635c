"""A watched folder: each video once, when it is complete, whatever becomes of the program."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fake_jobs import NOTES, begun
from synctool.cli.app import main
from synctool.errors import MissingError
from synctool.serving import watch as watching
from synctool.serving.folder import WatchedFolder, open_for_writing

PATIENCE_S = 60.0


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def names(folder: WatchedFolder) -> list[str]:
    return [video.name for video in folder.complete()]


# ------------------------------------------------------------------------------------- the folder


def test_a_video_is_given_once_when_it_has_settled(tmp_path: Path, clock: Clock) -> None:
    folder = WatchedFolder(tmp_path, settle_s=5, clock=clock)
    video = tmp_path / "sub" / "a.mp4"
    video.parent.mkdir()
    video.write_text("half")
    assert names(folder) == []
    clock.now = 4.0
    video.write_text("half and more")
    assert names(folder) == []
    clock.now = 8.0
    assert names(folder) == []
    assert folder.waiting == 1
    clock.now = 9.5
    assert names(folder) == ["sub/a.mp4"]
    assert folder.waiting == 0
    clock.now = 99.0
    assert names(folder) == []


def test_a_video_with_other_content_is_given_again(tmp_path: Path, clock: Clock) -> None:
    folder = WatchedFolder(tmp_path, settle_s=1, clock=clock)
    video = tmp_path / "a.mp4"
    for text in ("one", "other"):
        video.write_text(text)
        assert names(folder) == []
        clock.now += 1.0
        (found,) = folder.complete()
        assert folder.is_as_found(found)
    video.write_text("yet another")
    assert not folder.is_as_found(found)
    video.unlink()
    assert not folder.is_as_found(found)
    assert names(folder) == []


def test_one_that_was_given_may_be_given_again_later(tmp_path: Path, clock: Clock) -> None:
    folder = WatchedFolder(tmp_path, settle_s=1, clock=clock)
    (tmp_path / "a.mp4").write_text("x")
    folder.complete()
    clock.now = 1.0
    (found,) = folder.complete()
    folder.give_again(found, after_s=60.0)
    clock.now = 60.0
    assert names(folder) == []
    clock.now = 61.0
    assert names(folder) == ["a.mp4"]


def test_what_is_no_video_is_left_out(tmp_path: Path, clock: Clock) -> None:
    results = tmp_path / "fixed"
    results.mkdir()
    for name in ("a.txt", ".b.mp4", "c.mp4.part", "fixed/d.mp4", "data.dat", "e.MOV"):
        (tmp_path / name).write_text("x")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "f.mp4").symlink_to(tmp_path / "nowhere")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.mp4")
    folder = WatchedFolder(tmp_path, settle_s=0, left_out=(results,), clock=clock)
    assert names(folder) == ["e.MOV"]


def test_the_oldest_video_comes_first(tmp_path: Path, clock: Clock) -> None:
    for age, name in enumerate(("b.mp4", "a.mp4", "c.mp4")):
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    folder = WatchedFolder(tmp_path, settle_s=0, clock=clock)
    assert names(folder) == ["c.mp4", "a.mp4", "b.mp4"]


@pytest.mark.skipif(sys.platform not in ("linux", "win32"), reason="not told by this system")
def test_a_video_that_is_open_for_writing_is_not_complete(tmp_path: Path, clock: Clock) -> None:
    folder = WatchedFolder(tmp_path, settle_s=1, clock=clock)
    video = tmp_path / "a.mp4"
    with video.open("w") as file:
        file.write("x")
        file.flush()
        folder.complete()
        clock.now = 60.0
        assert open_for_writing(video)
        assert names(folder) == []
    with video.open():
        assert not open_for_writing(video)
        assert names(folder) == ["a.mp4"]


def test_a_folder_that_has_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="cannot read"):
        WatchedFolder(tmp_path / "none", settle_s=0).complete()


# ------------------------------------------------------------------------------------- the command


class Bench:
    """A folder, its reports, and ``synctool watch`` without measuring."""

    def __init__(self, place: Path) -> None:
        self.place = place
        for name in ("in", "notes"):
            (place / name).mkdir()
        self.words = ["watch", str(place / "in"), "--report", str(place / "out")]
        self.words += ["--settle", "0.1", "--interval", "0.05"]

    def put(self, **videos: str) -> None:
        """Videos by name, and what they say."""
        for name, said in videos.items():
            (self.place / "in" / f"{name}.mp4").write_text(said)

    def once(self, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, dict]]:
        """The exit code, and what was said of each video."""
        code = main([*self.words, "--once", "--json", "-", *more])
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return code, {line["video"]: line for line in lines}

    def begun(self) -> dict[str, int]:
        return begun(self.place / "notes")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    import fake_jobs

    monkeypatch.setattr(watching, "job_worker", fake_jobs.fake_worker)
    monkeypatch.setenv(NOTES, str(tmp_path / "notes"))
    return Bench(tmp_path)


@pytest.mark.integration
def test_each_video_is_measured_once_and_a_bad_one_stops_nothing(bench: Bench, capsys) -> None:
    bench.put(a="level", b="bad", c="kill", d="ahead")
    code, said = bench.once(capsys)
    assert code == 1
    assert [said[f"{n}.mp4"]["error"] for n in "abcd"] == [
        None,
        "no video",
        "the process reading it was killed (out of memory, or a crash in a decoder)",
        None,
    ]
    assert said["d.mp4"] == {
        **{"schema": "synctool.watch/1", "video": "d.mp4", "verdict": "in sync", "offset_ms": 7},
        **{"confidence": 0.9, "said": "audio is ahead", "repaired": False, "repair": None},
        **{"error": None, "remedy": None, "exit_code": 0, "earlier": False},
    }
    out = bench.place / "out"
    assert json.loads((out / "a.mp4.json").read_text()) == {"said": "level"}
    assert (out / "d.mp4.html").exists() and not (out / "b.mp4.json").exists()
    assert bench.begun() == {"a.mp4": 1, "b.mp4": 1, "c.mp4": 2, "d.mp4": 1}
    bench.put(e="behind", b="good")
    code, said = bench.once(capsys)
    assert set(said) == {"e.mp4", "b.mp4", "c.mp4"}
    assert bench.begun() == {"a.mp4": 1, "b.mp4": 2, "c.mp4": 2, "d.mp4": 1, "e.mp4": 1}
    (bench.place / "in" / "c.mp4").unlink()
    assert bench.once(capsys) == (0, {})
    bench.put(c="kill")
    code, said = bench.once(capsys, "--fresh")
    assert len(said) == 5


@pytest.mark.integration
def test_a_failure_is_told_again_until_the_video_changes(bench: Bench, capsys) -> None:
    bench.put(a="level", b="bad")
    first = bench.once(capsys)
    again = bench.once(capsys)
    assert first[0] == again[0] == 1
    assert again[1] == {"b.mp4": {**first[1]["b.mp4"], "earlier": True}}
    assert bench.begun() == {"a.mp4": 1, "b.mp4": 1}
    assert main([*bench.words, "--once", "--quiet"]) == 1
    told = capsys.readouterr().err
    assert "b.mp4: failed before: no video" in told and "1 video failed before" in told
    log = bench.place / "log.jsonl"
    for _ in range(2):
        assert main([*bench.words, "--once", "--json", str(log)]) == 1
    assert "b.mp4: failed before: no video" in capsys.readouterr().err
    assert [json.loads(line)["video"] for line in log.read_text().splitlines()] == ["b.mp4"] * 2
    bench.put(b="level")
    assert bench.once(capsys)[0] == 0


@pytest.mark.integration
@pytest.mark.parametrize("report", ["in", "in/reports"])
def test_results_are_never_watched(bench: Bench, capsys, report: str) -> None:
    """Beside the videos no result looks like one; a folder below them that is for results is left out."""
    bench.put(a="level")
    bench.words[3] = str(bench.place / report)
    left_out = bench.place / "in" / "reports"
    left_out.mkdir()
    (left_out / "old.mp4").write_text("ahead")
    for _ in range(2):
        bench.once(capsys)
    assert (bench.place / report / "a.mp4.html").exists()
    watched = {"a.mp4"} if report == "in/reports" else {"a.mp4", "old.mp4"}
    assert bench.begun() == dict.fromkeys(watched, 1)


@pytest.mark.integration
def test_repairs_go_to_their_own_folder_and_what_was_not_repaired_is_done_again(
    bench: Bench, capsys
) -> None:
    bench.put(a="level")
    assert bench.once(capsys)[1]["a.mp4"]["repaired"] is False
    fixed = bench.place / "in" / "fixed"
    assert bench.once(capsys, "--fix", str(fixed))[1]["a.mp4"]["repaired"] is True
    assert (fixed / "a.mp4").read_text() == "repaired"
    assert bench.once(capsys, "--fix", str(fixed)) == (0, {})
    assert bench.begun() == {"a.mp4": 2}


@pytest.mark.integration
def test_a_failure_that_may_pass_is_not_noted(bench: Bench, capsys) -> None:
    bench.put(a="full")
    for _ in range(2):
        code, said = bench.once(capsys)
        assert (code, said["a.mp4"]["error"]) == (1, "the disk is full")


@pytest.mark.integration
def test_a_video_that_takes_too_long_is_given_up(bench: Bench, capsys) -> None:
    bench.put(a="hang")
    code, said = bench.once(capsys, "--job-minutes", "0.01")
    assert (code, said["a.mp4"]["error"]) == (1, "it took longer than 0.6 s")


@pytest.mark.parametrize(
    ("fix", "words"),
    [("in", "which holds the watched ones"), (".", "which holds the watched ones")],
)
def test_repaired_videos_cannot_go_where_they_would_be_watched(
    bench: Bench, capsys, fix: str, words: str
) -> None:
    assert main([*bench.words, "--fix", str(bench.place / fix)]) == 2
    assert words in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_refused(bench: Bench, capsys) -> None:
    (bench.place / "in").rmdir()
    assert main(bench.words) == 5
    assert "is no folder" in capsys.readouterr().err


def test_reports_of_another_folder_are_refused(bench: Bench, capsys, tmp_path: Path) -> None:
    from synctool.serving.watch_journal import watch_journal

    (tmp_path / "out").mkdir()
    with watch_journal(tmp_path / "out", tmp_path, fix=False):
        assert main(bench.words) == 2
        assert "another synctool watch" in capsys.readouterr().err
    assert main(bench.words) == 2
    assert "Give another --report." in capsys.readouterr().err


# ------------------------------------------------------------------- stopped, killed, and gone on

SCRIPT = """
import sys
from fake_jobs import fake_worker
from synctool.serving import watch
watch.job_worker = fake_worker
from synctool.cli.app import main
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


class Program:
    """``synctool watch`` in a process of its own."""

    def __init__(self, bench: Bench) -> None:
        script = bench.place / "script.py"
        script.write_text(SCRIPT)
        path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        self.process = subprocess.Popen(
            [sys.executable, script, *bench.words],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def stopped(self, number: int) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err


@pytest.fixture
def started(bench: Bench) -> Iterator[Callable[[], Program]]:
    programs: list[Program] = []

    def start() -> Program:
        programs.append(Program(bench))
        return programs[-1]

    yield start
    for program in programs:
        program.process.kill()
        program.process.communicate()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


unix = pytest.mark.skipif(sys.platform == "win32", reason="signals as Unix has them")


@unix
@pytest.mark.integration
def test_a_killed_watch_loses_nothing_and_does_nothing_twice(
    bench: Bench, started: Callable[[], Program]
) -> None:
    journal = bench.place / "out" / ".synctool-watch.jsonl"
    bench.put(a="level", b="wait")
    killed = started()
    until(lambda: "b.mp4" in bench.begun() and '"film": "a.mp4"' in journal.read_text())
    (worker,) = map(int, (bench.place / "notes" / "b.mp4").read_text().split())
    code, _, _ = killed.stopped(signal.SIGKILL)
    assert code == -signal.SIGKILL
    until(lambda: _gone(worker))
    assert not (bench.place / "out" / "b.mp4.json").exists()
    (bench.place / "notes" / "go").touch()
    again = started()
    until(lambda: '"film": "b.mp4"' in journal.read_text())
    bench.put(c="late")
    until(lambda: '"film": "c.mp4"' in journal.read_text())
    code, out, err = again.stopped(signal.SIGTERM)
    assert (code, out) == (0, "b.mp4: audio is wait\nc.mp4: audio is late\n")
    assert "(1 video done)" in err and "Stopped after 2 videos." in err
    assert bench.begun() == {"a.mp4": 1, "b.mp4": 2, "c.mp4": 1}


@unix
@pytest.mark.integration
def test_ctrl_c_stops_at_once_in_the_middle_of_a_video(
    bench: Bench, started: Callable[[], Program]
) -> None:
    bench.put(a="hang")
    program = started()
    until(lambda: "a.mp4" in bench.begun())
    code, out, err = program.stopped(signal.SIGINT)
    assert (code, out) == (130, "")
    assert "Stopped after 0 videos" in err and "Traceback" not in err
    until(lambda: _gone(int((bench.place / "notes" / "a.mp4").read_text())))


def _gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.integration
def test_a_video_that_changes_while_it_is_measured_is_measured_again(bench: Bench, capsys) -> None:
    bench.put(a="wait")

    def change() -> None:
        until(lambda: "a.mp4" in bench.begun())
        bench.put(a="whole now")
        (bench.place / "notes" / "go").touch()

    changing = threading.Thread(target=change)
    changing.start()
    code, said = bench.once(capsys)
    changing.join()
    assert (code, said["a.mp4"]["said"]) == (0, "audio is whole")
    assert bench.begun() == {"a.mp4": 2}


@pytest.mark.integration
def test_a_real_video_is_measured_reported_and_repaired(
    clips: Path, tmp_path: Path, capsys
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "talk.avi").write_bytes((clips / "test_offset_12.avi").read_bytes())
    words = ["watch", str(folder), "--report", str(tmp_path / "out"), "--settle", "0.1"]
    code = main(
        [*words, "--fix", str(tmp_path / "fixed"), "--interval", "0.1", "--once", "--json", "-"]
    )
    (line,) = capsys.readouterr().out.splitlines()
    said = json.loads(line)
    assert (code, said["verdict"], said["repaired"]) == (0, "unacceptable", True)
    result = json.loads((tmp_path / "out" / "talk.avi.json").read_text())
    assert result["offset_ms"] == said["offset_ms"] and -400 < said["offset_ms"] < -280
    fix = json.loads((tmp_path / "out" / "talk.avi.fix.json").read_text())
    assert abs(fix["residual_ms"]) <= 40 and (tmp_path / "fixed" / "talk.avi").stat().st_size > 0
    page = (tmp_path / "out" / "talk.avi.html").read_text()
    assert "data-player" in page and "talk.avi" in page
