"""The journal of a comparison: nothing that is finished is lost, and nothing that is not counts."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from synctool.comparison.run import TRIALS
from synctool.errors import OutputError, SyncToolError, UsageError
from synctool.files import lock
from synctool.journal import Journal
from synctool.types import Condition, FrameSeries, Label, Segment, Trial

SETTINGS = {"networks": [["a.b", "a sha256:12"]], "max_offset": 15, "shifts": ""}


def trial(film: str, moved: float = 0.0) -> Trial:
    """A trial with something in every field."""
    return Trial(
        film=film,
        backbone="a.b",
        weights="a sha256:12",
        condition=Condition("shift", moved),
        label=Label(1.25, "anna", "news", "de", (Segment(0.0, 2.0, 1.25, 1.0),)),
        truth_frames=1.25 + moved,
        offset_frames=0.1 + 0.2 + moved,
        confidence=1 / 3,
        verdict="in sync",
        answered=True,
        lse_c=9.5,
        lse_d=5.25,
        coverage=0.97,
        segments=(Segment(0.0, 2.0, 1.0, 0.5),),
        frames=FrameSeries((0.0, 0.04), (None, 1.5), (0.1, None)),
        curve=(None, 0.25, 1e-17),
        windows={5: (10, 20), 7: (11, 18)},
        duration_s=2.0,
        seconds=0.125,
        memory_mb=100.5,
    )


def films(journal: Journal, *keys: str) -> list[tuple[Trial, ...]]:
    return [journal.read(key).rows for key in keys]


def filled(path: Path, *names: str) -> Path:
    with Journal(path, SETTINGS, TRIALS) as journal:
        for name in names:
            journal.add(f"key of {name}", name, [trial(name), trial(name, 2.5)], {"shared_s": 1.5})
    return path


def test_what_is_noted_comes_back_as_it_was(tmp_path: Path) -> None:
    path = filled(tmp_path / "j.jsonl", "a.mp4", "b \udcff\n.mp4")
    with Journal(path, SETTINGS, TRIALS) as journal:
        assert len(journal) == 2
        assert "key of a.mp4" in journal
        assert "key of c.mp4" not in journal
        record = journal.read("key of b \udcff\n.mp4")
    assert record.name == "b \udcff\n.mp4"
    assert record.rows == (trial(record.name), trial(record.name, 2.5))
    assert record.facts == {"shared_s": 1.5}


def test_a_video_noted_now_can_be_read_now(tmp_path: Path) -> None:
    with Journal(filled(tmp_path / "j.jsonl", "a.mp4"), SETTINGS, TRIALS) as journal:
        journal.add("new", "b.mp4", [trial("b.mp4")])
        assert films(journal, "new", "key of a.mp4")[0] == (trial("b.mp4"),)


def test_a_video_without_trials_is_finished_as_well(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path, SETTINGS, TRIALS) as journal:
        journal.add("k", "a.mp4", [])
    with Journal(path, SETTINGS, TRIALS) as journal:
        assert films(journal, "k") == [()]


def test_each_line_is_an_object_of_its_own(tmp_path: Path) -> None:
    lines = filled(tmp_path / "j.jsonl", "a.mp4").read_text("ascii").splitlines()
    head, first, second, closing = map(json.loads, lines)
    assert head == {"schema": "synctool.compare-journal/1", "settings": SETTINGS}
    assert Trial.from_dict(first) == trial("a.mp4")
    assert Trial.from_dict(second) == trial("a.mp4", 2.5)
    assert closing["film"] == "a.mp4"


@pytest.mark.parametrize("kept", ["nothing", "half the header", "header", "one video"])
def test_what_a_killed_run_left_half_written_is_cut_off(tmp_path: Path, kept: str) -> None:
    whole = filled(tmp_path / "whole.jsonl", "a.mp4", "b.mp4").read_bytes()
    lines = whole.splitlines(keepends=True)
    ends = {"nothing": 0, "half the header": 0, "header": 1, "one video": 4}
    begin = len(b"".join(lines[: ends[kept]]))
    following = len(b"".join(lines[: ends[kept] + 3]))
    cuts = {"nothing": [0], "half the header": range(1, len(lines[0]) - 1, 7)}.get(
        kept, range(begin, following, 97)
    )
    path = tmp_path / "j.jsonl"
    for cut in cuts:
        path.write_bytes(whole[:cut])
        with Journal(path, SETTINGS, TRIALS) as journal:
            assert len(journal) == (kept == "one video"), cut
            for name in ["a.mp4", "b.mp4"][len(journal) :]:
                journal.add(
                    f"key of {name}", name, [trial(name), trial(name, 2.5)], {"shared_s": 1.5}
                )
        assert path.read_bytes() == whole, cut


def test_a_damaged_line_costs_its_video_only(tmp_path: Path) -> None:
    path = filled(tmp_path / "j.jsonl", "a.mp4", "b.mp4", "c.mp4")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[5] = b"\0" * (len(lines[5]) - 1) + b"\n"
    path.write_bytes(b"".join(lines))
    with Journal(path, SETTINGS, TRIALS) as journal:
        assert "key of b.mp4" not in journal
        journal.add("key of b.mp4", "b.mp4", [trial("b.mp4")])
    with Journal(path, SETTINGS, TRIALS) as journal:
        found = films(journal, "key of a.mp4", "key of b.mp4", "key of c.mp4")
    assert [len(trials) for trials in found] == [2, 1, 2]
    assert [trials[0].film for trials in found] == ["a.mp4", "b.mp4", "c.mp4"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"max_offset": 20}, "max_offset is 15 there, and 20 here"),
        ({"networks": [["c.d", "x"]]}, r'networks is \[\["a.b", .* here'),
        ({"new": 1}, "new is null there, and 1 here"),
    ],
)
def test_the_journal_of_another_run_is_left_alone(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    path = filled(tmp_path / "j.jsonl", "a.mp4")
    before = path.read_bytes()
    with pytest.raises(UsageError, match=said):
        Journal(path, {**SETTINGS, **change}, TRIALS)
    assert path.read_bytes() == before
    with pytest.raises(UsageError, match="max_offset is 15 there, and null here"):
        Journal(path, {k: v for k, v in SETTINGS.items() if k != "max_offset"}, TRIALS)
    with Journal(path, SETTINGS, TRIALS) as journal:
        assert len(journal) == 1


@pytest.mark.parametrize(
    "content", [b"path,offset_ms\na.mp4,3\n", b"hello", b'{"schema": "other/1"}\n', b"[]\n", b"\n"]
)
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "j.jsonl"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is no journal"):
        Journal(path, SETTINGS, TRIALS)
    assert path.read_bytes() == content


def test_two_runs_do_not_write_one_journal(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with (
        Journal(path, SETTINGS, TRIALS),
        pytest.raises(SyncToolError, match="another run is writing"),
    ):
        Journal(path, SETTINGS, TRIALS)
    with Journal(path, SETTINGS, TRIALS) as journal:
        assert len(journal) == 0
    assert os.listdir(tmp_path) == ["j.jsonl"]


_HOLDS = """
import sys
from synctool.journal import Journal
from synctool.comparison.run import TRIALS
with Journal(sys.argv[1], {}, TRIALS):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_a_run_that_ends_leaves_no_gap_in_which_two_could_write(tmp_path: Path) -> None:
    """Whoever comes while a run ends, and whoever comes after, are never let in both."""
    path = tmp_path / "j.jsonl"
    first = Journal(path, {}, TRIALS)
    with open(path, "ab") as early:  # has the file open before the first run lets go of it
        assert not lock(early)
        first.close()
        assert lock(early)
        with pytest.raises(SyncToolError, match="another run is writing"):
            Journal(path, {}, TRIALS)
    Journal(path, {}, TRIALS).close()


def test_a_killed_run_holds_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDS, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(SyncToolError, match="another run is writing"):
            Journal(path, {}, TRIALS)
        other.kill()
        other.wait()
    Journal(path, {}, TRIALS).close()


def test_a_journal_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        Journal(tmp_path / "no" / "j.jsonl", SETTINGS, TRIALS)
    assert os.listdir(tmp_path) == []
    with pytest.raises(OutputError, match="folder"):
        Journal(tmp_path, SETTINGS, TRIALS)


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="there is no /dev/null here")
def test_a_device_is_no_journal() -> None:
    before = stat.S_IFMT(os.stat("/dev/null").st_mode)
    with pytest.raises(UsageError, match="no ordinary file"):
        Journal("/dev/null", SETTINGS, TRIALS)
    assert stat.S_IFMT(os.stat("/dev/null").st_mode) == before


FULL = """
import resource, signal, sys
sys.path.insert(0, sys.argv[2])
from test_journal import SETTINGS, trial
from synctool.journal import Journal
from synctool.comparison.run import TRIALS
from synctool.files import lock
from synctool.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Journal(sys.argv[1], SETTINGS, TRIALS) as journal:
    journal.add("a", "a.mp4", [trial("a.mp4")])
    size = journal._path.stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, -1))
    try:
        journal.add("b", "b.mp4", [trial("b.mp4")])
    except OutputError as error:
        print(error)
    assert journal._path.stat().st_size == size, "a half line stayed"
    assert "b" not in journal
    resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
    journal.add("c", "c.mp4", [trial("c.mp4")])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit for files")
def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    tests = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", FULL, path, tests], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "cannot write" in done.stdout
    with Journal(path, SETTINGS, TRIALS) as journal:
        assert films(journal, "a", "c") == [(trial("a.mp4"),), (trial("c.mp4"),)]
        assert len(journal) == 2


def test_a_trial_of_another_form_is_said(tmp_path: Path) -> None:
    path = filled(tmp_path / "j.jsonl", "a.mp4")
    path.write_text(path.read_text().replace('"curve": ', '"curve": 1, "old": '))
    with (
        Journal(path, SETTINGS, TRIALS) as journal,
        pytest.raises(SyncToolError, match=r"j\.jsonl is damaged"),
    ):
        journal.read("key of a.mp4")


def test_the_same_video_again_replaces_what_was_noted(tmp_path: Path) -> None:
    path = filled(tmp_path / "j.jsonl", "a.mp4")
    other = replace(trial("a.mp4"), confidence=0.5)
    with Journal(path, SETTINGS, TRIALS) as journal:
        journal.add("key of a.mp4", "a.mp4", [other])
    with Journal(path, SETTINGS, TRIALS) as journal:
        assert films(journal, "key of a.mp4") == [(other,)]
