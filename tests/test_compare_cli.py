"""``synctool compare`` as a person and a program meet it: words, streams, files, exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from matplotlib.image import imread

import compare_networks
from flicker import flicker_video, save_weights
from synctool.cli import compare_completion as completion
from synctool.cli.app import main
from synctool.cli.compare_outputs import CompareOutputs
from synctool.cli.compare_text import described
from synctool.comparison.run import CompareProgress
from synctool.errors import OutputError
from synctool.types import Trial

pytestmark = pytest.mark.integration

TIMES = ("seconds", "memory_mb")
"""What a second run may have otherwise."""


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
    def trials(self) -> list[Trial]:
        """The trials of the object on stdout."""
        return [Trial.from_dict(trial) for trial in self.json["trials"]]

    def value(self, name: str, group: str = "all") -> float:
        """A metric of the first model, of the object on stdout."""
        return next(
            m["value"] for m in self.json["metrics"] if (m["name"], m["group"]) == (name, group)
        )

    def failed(self, code: int, *told: str) -> None:
        """One error of two lines or more, what and how to fix it, and nothing else."""
        assert self.code == code, self.err
        assert self.err.startswith("error: ") and self.err.count("error: ") == 1, self.err
        assert len(self.err.splitlines()) >= 2, f"no remedy: {self.err}"
        assert "Traceback" not in self.err
        assert self.out == ""
        for part in told:
            assert part in self.err, self.err


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Videos with the audio three frames ahead and two behind."""
    folder = tmp_path_factory.mktemp("films")
    return {
        name: flicker_video(
            folder / name, seconds=2, ahead_frames=ahead, seed=ahead + 9
        ).read_bytes()
        for name, ahead in (("a.mkv", 3), ("b.mkv", -2))
    }


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, videos: dict[str, bytes]) -> Iterator:
    """A current folder with the videos and weights, no settings from outside, and the networks."""
    for name in list(os.environ):
        if name.startswith("SYNCTOOL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNCTOOL_CACHE", str(tmp_path / "cache"))
    for name, data in videos.items():
        Path(name).write_bytes(data)
    save_weights(Path("one.safetensors"))
    save_weights(Path("two.safetensors"), made="again")
    (tmp_path / "networks").mkdir()
    with compare_networks.installed(tmp_path / "networks"):
        yield


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs ``synctool compare`` with some words, on frames that are all face."""

    def call(*words: object) -> Ran:
        capsys.readouterr()
        own = () if "--detector" in words else ("--detector", "whole")
        code = main(["compare", *map(str, words), *own, "--device", "cpu"])
        return Ran(code, *capsys.readouterr())

    return call


ONE = ("-b", "flicker=one.safetensors")
BOTH = ("-b", "flicker=one.safetensors,flicker=two.safetensors")


def labels(*rows: str) -> str:
    """A labels file."""
    Path("truth.csv").write_text("\n".join(["path,offset_frames,person", *rows]) + "\n")
    return "truth.csv"


# ------------------------------------------------------------------------------- what comes out


def test_one_video_through_two_models_is_a_table(run) -> None:
    ran = run("a.mkv", *BOTH)
    assert (ran.code, ran.err) == (0, "")
    for name in ("flicker (one)", "flicker (two)"):
        line = next(line for line in ran.out.splitlines() if name in line)
        assert "120 ms ahead" in line and "unacceptable" in line and "100 %" in line
    assert "All trials" not in ran.out


def test_json_holds_trials_and_metrics(run) -> None:
    ran = run("a.mkv", "b.mkv", *BOTH, "--json", "-")
    assert (ran.code, ran.err) == (0, "")
    assert [round(trial.offset_frames) for trial in ran.trials] == [3, 3, -2, -2]
    assert ran.json["films"] == ["a.mkv", "b.mkv"]
    assert ran.json["settings"]["backbones"] == BOTH[1]
    assert ran.json["command"].startswith("synctool compare a.mkv b.mkv -b flicker=one")
    assert ran.json["agreement"][0]["frames"] == 1.0
    assert ran.value("inconclusive_rate") == 0


def test_moved_audio_is_followed_and_pieces_agree(run) -> None:
    flicker_video(Path("long.mkv"), seconds=5, ahead_frames=2)
    ran = run("long.mkv", *ONE, "--shift", "-4,0,2.5", "--pieces", "1.5", "--json", "-")
    kinds = [trial.condition.kind for trial in ran.trials]
    assert kinds == ["plain", "shift", "shift", "piece", "piece", "piece"]
    assert ran.value("shift_mae_ms") < 10
    assert ran.value("piece_consistency") == 1
    assert ran.value("inconclusive_rate", "condition=piece") == 0


def test_known_offsets_are_scored_by_person(run) -> None:
    table = labels("a.mkv,3,anna", "b.mkv,4,ben")
    ran = run("a.mkv", "b.mkv", *ONE, "--labels", table, "--by", "person", "--json", "-")
    assert ran.value("accuracy_1") == 0.5
    assert ran.value("accuracy_1", "person=anna") == 1
    assert ran.value("accuracy_1", "person=ben") == 0
    shown = run("a.mkv", *ONE, "--labels", table).out
    assert "known: audio 120 ms ahead" in shown


def test_a_folder_that_knows_its_offsets(run) -> None:
    Path("set").mkdir()
    os.rename("a.mkv", "set/a.mkv")
    os.rename("b.mkv", "set/b.mkv")
    Path("set/labels.csv").write_text("path,offset_ms\na.mkv,120\nb.mkv,-80\n")
    ran = run("--dataset", "set", *ONE, "--json", "-")
    assert len(ran.trials) == 2
    assert ran.value("accuracy_1") == 1


def test_videos_are_degraded(run) -> None:
    ran = run("a.mkv", *ONE, "--perturb", "noise:1+5", "--json", "-")
    assert [trial.condition.level for trial in ran.trials] == [0, 1, 5]
    assert ran.value("inconclusive_rate", "perturbation=noise level=1") == 0


def test_everything_goes_into_files(run) -> None:
    ran = run(
        *("a.mkv", "b.mkv", *BOTH, "--labels", labels("a.mkv,3,anna", "b.mkv,-2,ben")),
        *("--json", "all.json", "--trials", "t.jsonl", "--csv", "t.csv", "--metrics-csv", "m.csv"),
        *("--plot", "plots", "--html", "page.html"),
    )
    assert (ran.code, ran.err) == (0, "")
    assert "flicker (two)" in ran.out
    lines = [Trial.from_dict(json.loads(x)) for x in Path("t.jsonl").read_text().splitlines()]
    whole = json.loads(Path("all.json").read_text())
    assert lines == [Trial.from_dict(trial) for trial in whole["trials"]]
    rows = list(csv.DictReader(io.StringIO(Path("t.csv").read_text())))
    assert [row["film"] for row in rows] == ["a.mkv", "a.mkv", "b.mkv", "b.mkv"]
    assert "accuracy_1" in Path("m.csv").read_text()
    names = {path.name for path in Path("plots").iterdir()}
    assert names >= {"a.mkv.png", "b.mkv.png", "metrics-context.png"}
    page = Path("page.html").read_text("utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert "a.mkv" in page and "flicker" in page


def test_the_earlier_name_of_html_warns(run) -> None:
    ran = run("a.mkv", *ONE, "--quiet", "--report", "page.html")
    assert ran.code == 0
    assert "--report is called --html now" in ran.err
    assert Path("page.html").stat().st_size > 10_000


def test_one_video_is_drawn_into_a_file(run) -> None:
    assert run("a.mkv", *BOTH, "--plot", "a.png", "--quiet").code == 0
    assert imread("a.png").std() > 0.01


def test_trials_come_on_stdout_one_a_line(run) -> None:
    ran = run("a.mkv", "b.mkv", *ONE, "--trials", "-")
    assert [Trial.from_dict(json.loads(x)).film for x in ran.out.splitlines()] == ["a.mkv", "b.mkv"]


def test_quiet_prints_nothing(run) -> None:
    ran = run("a.mkv", *ONE, "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_a_list_of_videos(run) -> None:
    Path("list.txt").write_text("b.mkv\n")
    ran = run("--from-file", "list.txt", *ONE, "--csv", "-")
    assert [row["film"] for row in csv.DictReader(io.StringIO(ran.out))] == ["b.mkv"]


def test_a_second_run_gives_the_same_numbers(run) -> None:
    def numbers() -> list[dict]:
        given = ("a.mkv", *BOTH, "--shift", "random:2", "--seed", 5, "--trials", "-")
        found = [json.loads(line) for line in run(*given).out.splitlines()]
        return [{k: v for k, v in one.items() if k not in TIMES} for one in found]

    first = numbers()
    assert len(first) == 6
    assert numbers() == first


def test_settings_come_from_the_file_too(run) -> None:
    Path("synctool.toml").write_text('[compare]\nbackbones = "flicker=one.safetensors"\nseed = 7\n')
    assert run("a.mkv", "--json", "-").json["settings"]["seed"] == 7


def test_perturbations_are_listed(run) -> None:
    ran = run("--perturb", "list")
    assert ran.code == 0
    assert ran.out.splitlines()[0].split()[:2] == ["NAME", "KIND"]
    assert any(line.startswith("noise ") and "dB" in line for line in ran.out.splitlines())


# ------------------------------------------------------------------------------- what goes wrong


def test_a_missing_video_costs_the_others_nothing(run) -> None:
    ran = run("gone.mkv", "b.mkv", *BOTH, "--json", "all.json")
    assert ran.code == 5
    assert ran.err.count("gone.mkv") == 1
    trials = json.loads(Path("all.json").read_text())["trials"]
    assert ["no such file" in (trial["error"] or "") for trial in trials] == [True] * 2 + [
        False
    ] * 2
    assert "failed: no such file" in ran.out and " ms behind" in ran.out


def test_a_video_that_fails_for_one_model_only(run) -> None:
    ran = run("a.mkv", "-b", "fussy=one.safetensors,flicker=one.safetensors")
    assert ran.code == 1
    assert "too short for me" in ran.err
    fails, works = (
        next(line for line in ran.out.splitlines() if line.strip().startswith(name))
        for name in ("fussy", "flicker")
    )
    assert "failed: " in fails and "too short for me" in fails
    assert "120 ms ahead" in works


def test_a_damaged_video_is_told_also_when_quiet(run) -> None:
    Path("bad.mp4").write_bytes(b"no video at all" * 100)
    ran = run("bad.mp4", "a.mkv", *ONE, "--quiet")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: ") and "bad.mp4" in ran.err


def test_inconclusive_is_no_error(run) -> None:
    ran = run("a.mkv", *ONE, "--detector", "haar")
    assert ran.code == 0
    assert "inconclusive" in ran.out and "because no face" in ran.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), ("no videos given",)),
        (("a.mkv", "-b", "fcn-cls,flickr=one.safetensors"), ("flickr", "flicker")),
        (("a.mkv", "-b", ","), ("--backbones", "list of texts with commas")),
        (("a.mkv", *ONE, "--shift", "sideways"), ("sideways", "random:N")),
        (("a.mkv", *ONE, "--shift", "99"), ("99",)),
        (("a.mkv", *ONE, "--pieces", "-2"), ("--pieces", "at least 0")),
        (("a.mkv", *ONE, "--pieces", "0.2"), ("0.2",)),
        (("a.mkv", *ONE, "--perturb", "noize"), ("noize", "noise")),
        (("a.mkv", *ONE, "--by", "shoesize"), ("shoesize", "person")),
        (("a.mkv", *ONE, "--max-offset", "3"), ("--max-offset", "15 to 125")),
        (("a.mkv", *ONE, "--limit", "3"), ("--limit", "--dataset")),
        (("a.mkv", *ONE, "--dataset", "set"), ("--dataset brings its own",)),
        (("a.mkv", *ONE, "--json", "-", "--csv", "-"), ("--json and --csv", "stdout")),
        (("a.mkv", *ONE, "--json", "x", "--csv", "x"), ("--json and --csv cannot both",)),
        (("a.mkv", *ONE, "--html", "a.mkv"), ("--html a.mkv", "overwritten")),
        (("a.mkv", *ONE, "--html", "x", "--report", "y"), ("--report and --html are the same",)),
        (("a.mkv", *ONE, "--journal", "./b.mkv", "b.mkv"), ("--journal", "overwritten")),
        (("a.mkv", *ONE, "--detector", "nobody"), ("nobody",)),
    ],
)
def test_wrong_usage_is_told_before_any_work(run, videos, words, told) -> None:
    run(*words).failed(2, *told)
    assert Path("a.mkv").read_bytes() == videos["a.mkv"]


def test_labels_that_do_not_match_the_videos(run) -> None:
    given = ("a.mkv", "b.mkv", *ONE, "--labels", labels("other.mkv,3,anna"))
    run(*given).failed(2, "a.mkv")


def test_labels_are_not_overwritten(run) -> None:
    table = labels("a.mkv,3,anna")
    run("a.mkv", *ONE, "--labels", table, "--csv", table).failed(2, "--csv truth.csv")


def test_what_is_missing_ends_with_five(run) -> None:
    run("a.mkv", *ONE, "--labels", "gone.csv").failed(5, "gone.csv")
    run("a.mkv", "-b", "flicker=gone.safetensors").failed(5, "gone.safetensors")
    run("--dataset", "gone", *ONE).failed(5, "gone")


def test_places_that_cannot_be_written(run) -> None:
    run("a.mkv", *ONE, "--json", "no/such/folder.json").failed(1, "no/such")
    run("a.mkv", *ONE, "--plot", "a.bmp").failed(2, ".bmp")
    run("a.mkv", *ONE, "--html", ".").failed(2, "folder")


# ------------------------------------------------------------------------------- interrupted work


@pytest.fixture(params=[KeyboardInterrupt()])
def interrupted(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Lets Ctrl-C come when the second video arrives; the returned function takes it away."""
    stream = CompareOutputs.stream

    def stop(self: CompareOutputs, trial: Trial) -> None:
        if trial.film == "b.mkv":
            raise request.param
        stream(self, trial)

    monkeypatch.setattr(CompareOutputs, "stream", stop)
    return lambda: monkeypatch.setattr(CompareOutputs, "stream", stream)


def test_a_journal_goes_on_where_it_stopped(run, interrupted) -> None:
    given = ("a.mkv", "b.mkv", *ONE, "--journal", "run.jsonl", "--json", "all.json")
    ran = run(*given)
    assert (ran.code, ran.out) == (130, "")
    assert "Run the same command again" in ran.err
    assert not Path("all.json").exists()
    interrupted()
    os.rename("run.jsonl", "kept")
    fresh = run(*given[:4], "--trials", "-").out.splitlines()
    os.rename("kept", "run.jsonl")
    assert run(*given).code == 0
    resumed = json.loads(Path("all.json").read_text())["trials"]
    assert [t["film"] for t in resumed] == ["a.mkv", "b.mkv"]
    for one, other in zip(resumed, map(json.loads, fresh), strict=True):
        assert {k: v for k, v in one.items() if k not in TIMES} == {
            k: v for k, v in other.items() if k not in TIMES
        }
    again = run(*given)
    assert again.code == 0
    assert json.loads(Path("all.json").read_text())["trials"] == resumed


def test_without_a_journal_what_is_done_is_written(run, interrupted) -> None:
    ran = run("a.mkv", "b.mkv", *ONE, "--json", "all.json")
    assert ran.code == 130
    assert "--journal" in ran.err
    assert json.loads(Path("all.json").read_text())["films"] == ["a.mkv"]


@pytest.mark.parametrize("interrupted", [OutputError("the disk is full")], indirect=True)
def test_an_error_on_the_way_costs_nothing_that_is_done(run, interrupted) -> None:
    ran = run("a.mkv", "b.mkv", *ONE, "--json", "all.json")
    assert ran.code == 1
    assert "the disk is full" in ran.err
    assert json.loads(Path("all.json").read_text())["films"] == ["a.mkv"]


def test_the_journal_of_another_run_is_refused(run) -> None:
    assert run("a.mkv", *ONE, "--journal", "run.jsonl", "-q").code == 0
    run("a.mkv", *ONE, "--shift", "2", "--journal", "run.jsonl").failed(2, "run.jsonl")


# ------------------------------------------------------------------------------- on the way


def test_the_bar_says_where_the_work_is() -> None:
    many = CompareProgress(3, 12, 0, 0, video="films/talk.mp4", step="noise 3", share=0.5)
    assert described(many) == "3/12 talk.mp4: noise 3"
    assert described(CompareProgress(0, 1, 0, 0, video="a\x1b.mkv")) == "a\\x1b.mkv"
    assert described(CompareProgress(0, 0, 0, 0)) == "videos"


def test_the_shell_completes_the_last_of_several_names() -> None:
    assert "flicker,fcn-cls" in completion.complete_backbones("flicker,fcn-c")
    assert all(
        x.startswith("flicker,fcn-c") for x in completion.complete_backbones("flicker,fcn-c")
    )
    assert "resnet3d+" in completion.complete_backbones("resnet")
    assert "resnet3d+vggish" in completion.complete_backbones("resnet3d+v")
    assert completion.complete_degradations("blur,noi") == ["blur,noise"]
    assert "list" in completion.complete_degradations("")
    assert completion.complete_by("pers") == ["person"]
