"""Several networks on the same videos, end to end: on videos that are right by construction."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import synctool
from compare_networks import installed
from flicker import flicker_video, save_weights
from synctool.comparison import run as compare_engine
from synctool.comparison import video_trials as film_trials
from synctool.comparison.entries import Entry
from synctool.comparison.run import CompareProgress, VideoFacts, run_trials
from synctool.errors import MissingError, OutputError, SyncToolError, UsageError
from synctool.journal import Journal
from synctool.settings.compare import CompareSettings
from synctool.types import Label, Trial
from synctool.workers import Died
from videos import make_video

pytestmark = pytest.mark.integration

FINE = 0.2
LEAST = CompareSettings(detector="whole", device="cpu")


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with installed(tmp_path_factory.mktemp("installed")) as names:
        yield names


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good videos with a short, a damaged and a missing one among them."""
    place = tmp_path_factory.mktemp("films")
    flicker_video(place / "a.mp4", seconds=3.2, ahead_frames=2, seed=1)
    flicker_video(place / "b-short.mp4", seconds=1.6, ahead_frames=-1, seed=2)
    (place / "c-damaged.mp4").write_bytes(b"\0" * 5000)
    flicker_video(place / "d.mp4", seconds=3.2, ahead_frames=-3, seed=3)
    make_video(place / "e-mute.mp4", seconds=1.0, audio=())
    return place


@pytest.fixture(scope="module")
def videos(folder: Path) -> list[Entry]:
    names = ["a.mp4", "b-short.mp4", "c-damaged.mp4", "d.mp4", "e-mute.mp4", "f-missing.mp4"]
    known = {"a.mp4": 2.0, "b-short.mp4": -1.0, "d.mp4": -3.0}
    return [Entry(str(folder / name), Label(known.get(name), name[0])) for name in names]


def settings(networks: dict[str, str], *names: str, **more: object) -> CompareSettings:
    return replace(LEAST, backbones=tuple(networks[name] for name in names or ["flicker"]), **more)


def untimed(trials: list[Trial]) -> list[Trial]:
    """Trials without what a second run takes anew."""
    return [replace(t, seconds=0.0, memory_mb=None) for t in trials]


def where(trial: Trial) -> str:
    return Path(trial.film).name[0]


# ------------------------------------------------------------------------------------ the answers


def test_videos_networks_and_conditions_side_by_side(
    networks: dict[str, str], videos: list[Entry]
) -> None:
    two = settings(networks, "flicker", "fussy", shift="-4, 0, 2.5", pieces=1)
    found = list(run_trials([videos[0], videos[3]], two))
    assert [where(t) for t in found] == ["a"] * 12 + ["d"] * 12
    kinds = ["plain", "shift", "shift", "piece", "piece", "piece"]
    assert [t.condition.kind for t in found[::2]] == kinds * 2
    assert [t.backbone for t in found] == ["flicker", "fussy"] * 12
    assert [t.condition.moved_frames for t in found[2:6:2]] == [-4.0, 2.5]
    whole = [t for t in found if t.condition.kind != "piece"]
    assert all(t.error_frames == pytest.approx(0, abs=FINE) for t in whole)
    assert all(t.answered and t.error is None for t in whole)
    assert [t.truth_frames for t in whole] == [2, 2, -2, -2, 4.5, 4.5, -3, -3, -7, -7, -0.5, -0.5]
    assert all(t.error is not None for t in found if t.condition.kind == "piece" and "fussy" in
               t.backbone), "its pieces are short videos"  # fmt: skip
    assert all(t.frames.t_s for t in found[:2])


def test_what_fails_for_one_network_or_one_video_costs_nothing_else(
    networks: dict[str, str], videos: list[Entry]
) -> None:
    found = list(run_trials(videos, settings(networks, "flicker", "fussy")))
    assert [where(t) for t in found] == [letter for letter in "abcdef" for _ in range(2)]
    reasons = {(where(t), t.backbone): t.error for t in found if t.error}
    assert "too short for me" in reasons.pop(("b", "fussy"))
    assert {video for video, _ in reasons} == {"c", "e", "f"}
    assert len(reasons) == 6
    assert "no audio track" in reasons["e", "flicker"]
    assert "no such file" in reasons["f", "fussy"]
    assert found[2].error is None
    assert all(t.offset_frames is None and not t.answered for t in found if t.error)


def test_a_second_run_is_identical(networks: dict[str, str], videos: list[Entry]) -> None:
    same = settings(networks, shift="random:3", pieces=1, seed=5, perturb="noise:2")
    first, second = (untimed(list(run_trials(videos[:4], same))) for _ in range(2))
    assert first == second
    other = untimed(list(run_trials(videos[:4], replace(same, seed=6))))
    moves = [[t.condition.moved_frames for t in run if t.condition.kind == "shift"]
             for run in (first, other)]  # fmt: skip
    assert moves[0] != moves[1]
    assert moves[0][:3] != moves[0][3:6], "each video has moves of its own"


def test_moves_depend_on_the_name_and_not_on_the_way_there(
    networks: dict[str, str], videos: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    same = settings(networks, shift="random:2")
    (folder, name) = os.path.split(videos[0].name)
    monkeypatch.chdir(folder)
    there = [t.condition for t in run_trials([videos[0]], same)]
    assert there == [t.condition for t in run_trials([Entry(f"./{name}")], same)]


def test_frames_and_shared_times_come_with_each_video(
    networks: dict[str, str], videos: list[Entry]
) -> None:
    told: list[VideoFacts] = []
    seen: list[CompareProgress] = []
    some = settings(networks)
    trials = list(
        run_trials(videos[:3], some, on_video=told.append, on_progress=seen.append, thumbnails=2)
    )
    assert [fact.video for fact in told] == [entry.name for entry in videos[:3]]
    assert [len(fact.thumbnails) for fact in told] == [2, 2, 0]
    assert [trial for fact in told for trial in fact.trials] == trials
    assert told[0].shared_s > 0
    assert (seen[0].videos_done, seen[0].videos_total) == (0, 3)
    assert (seen[-1].videos_done, seen[-1].failed, seen[-1].resumed) == (3, 1, 0)
    assert any(p.step == "reading" and p.video == videos[0].name and p.share for p in seen)


# --------------------------------------------------------------------------------- degraded


def test_audio_degraded_is_held_against_the_truth(
    networks: dict[str, str], videos: list[Entry]
) -> None:
    found = list(run_trials(videos[:1], settings(networks, perturb="noise:1+5")))
    plain, mild, severe = found
    assert (mild.condition.kind, mild.condition.perturbation) == ("perturbed", "noise")
    assert (mild.condition.level, severe.condition.level) == (1, 5)
    assert mild.condition.unit == "dB"
    assert mild.condition.value > severe.condition.value
    assert mild.truth_frames == severe.truth_frames == 2.0
    assert mild.label == plain.label == videos[0].label
    assert mild.windows
    assert mild.offset_frames != plain.offset_frames


def test_frames_degraded_are_read_from_a_copy_that_is_gone_afterwards(
    networks: dict[str, str],
    videos: list[Entry],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = list(run_trials(videos[:1], settings(networks, perturb="low-light:1,slower:5")))
    dark, slow = found[1:]
    assert [t.error for t in found] == [None] * 3
    assert dark.error_frames == pytest.approx(0, abs=FINE)
    factor = slow.truth_frames / 2.0
    assert factor > 1.05, "a slower video has a larger offset"
    assert slow.label == videos[0].label
    assert os.listdir(tmp_path) == []


def test_without_a_label_the_truth_is_the_networks_own_undisturbed_answer(
    networks: dict[str, str], videos: list[Entry]
) -> None:
    unknown = Entry(videos[0].name, Label(person="a"))
    plain, noisy = run_trials([unknown], settings(networks, perturb="noise:1"))
    assert plain.truth_frames is None
    assert noisy.truth_frames == plain.offset_frames
    assert noisy.label == unknown.label, "which tells such a trial from one with a true offset"
    assert noisy.windows


def test_an_undisturbed_video_without_an_answer_gives_no_truth(
    networks: dict[str, str], tmp_path: Path
) -> None:
    short = flicker_video(tmp_path / "s.mp4", seconds=0.4)
    plain, noisy = run_trials([Entry(str(short))], settings(networks, perturb="noise:1"))
    assert not plain.answered
    assert noisy.truth_frames is None


def test_a_perturbation_that_cannot_be_made_says_why(
    networks: dict[str, str],
    videos: list[Entry],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lacking(*given: object, **more: object) -> Path:
        raise MissingError("this FFmpeg lacks the encoder libx265", remedy="Install another.")

    monkeypatch.setattr(film_trials, "write_degraded", lacking)
    some = settings(networks, "flicker", "fussy", perturb="h265:1-2,noise:1")
    found = list(run_trials(videos[:1], some, journal=tmp_path / "j.jsonl"))
    assert len(found) == 8
    failed = [t for t in found if t.error]
    assert [(t.backbone, t.condition.level) for t in failed] == [
        *(("flicker", 1), ("fussy", 1), ("flicker", 2), ("fussy", 2))
    ]
    assert all("libx265" in t.error and t.condition.perturbation == "h265" for t in failed)
    assert [t.error for t in found if t.condition.perturbation == "noise"] == [None] * 2


def test_too_little_room_fails_the_copy_and_is_tried_again_later(
    networks: dict[str, str],
    videos: list[Entry],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    some = settings(networks, perturb="low-light:1")
    path = tmp_path / "j.jsonl"
    with monkeypatch.context() as patch:
        patch.setattr(film_trials, "free_bytes", lambda _: 1000)
        plain, dark = run_trials(videos[:1], some, journal=path)
    assert plain.error is None
    assert "only 1 kB are free" in dark.error
    assert [t.error for t in run_trials(videos[:1], some, journal=path)] == [None, None]


# ------------------------------------------------------------------------------ wrong from the start


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"backbones": ()}, "no models"),
        ({"by": ("planet",)}, "planet"),
        ({"shift": "a,b"}, "shifts"),
        ({"shift": "20"}, "beyond"),
        ({"shift": "random:no"}, "no number"),
        ({"pieces": 0.2}, "too short"),
        ({"perturb": "no-such"}, "no-such"),
        ({"detector": "no-such"}, "no-such"),
        ({"backbones": ("no-such",)}, "no-such"),
    ],
)
def test_what_makes_no_sense_is_said_before_any_work(
    networks: dict[str, str], videos: list[Entry], change: dict[str, object], said: str
) -> None:
    told: list[CompareProgress] = []
    wrong = replace(settings(networks), **change)
    with pytest.raises(UsageError, match=said):
        next(run_trials(videos, wrong, on_progress=told.append))
    assert told == []


def test_nothing_to_compare(networks: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="nothing to compare"):
        next(run_trials([], settings(networks)))


def test_a_network_that_cannot_be_loaded_is_named_before_any_work(
    networks: dict[str, str], videos: list[Entry], tmp_path: Path
) -> None:
    told: list[CompareProgress] = []
    for weights in ("", f"={tmp_path / 'gone.safetensors'}"):
        some = replace(LEAST, backbones=(networks["flicker"], f"fussy{weights}"))
        with pytest.raises(SyncToolError, match="fussy") as caught:
            next(run_trials(videos, some, on_progress=told.append))
        assert caught.value.remedy
    assert told == []


def test_the_same_network_twice(networks: dict[str, str], videos: list[Entry]) -> None:
    with pytest.raises(UsageError, match=r"flicker with the weights .* given twice"):
        next(run_trials(videos, settings(networks, "flicker", "flicker")))


def test_one_network_with_two_weights(
    networks: dict[str, str], videos: list[Entry], tmp_path: Path
) -> None:
    other = save_weights(tmp_path / "other.safetensors", note="other")
    both = replace(LEAST, backbones=(networks["flicker"], f"flicker={other}"))
    first, second = run_trials(videos[:1], both)
    assert first.weights != second.weights
    assert first.offset_frames == second.offset_frames


def test_names_of_networks_in_one_text() -> None:
    given = CompareSettings(backbones="syncnet, fcn-cls=a=b.pt").backbones
    assert given == ("syncnet", "fcn-cls=a=b.pt")
    with pytest.raises(UsageError, match="list of texts with commas"):
        CompareSettings(backbones="syncnet,,x")


# ---------------------------------------------------------------------------------------- journal


def test_a_second_run_goes_on_after_the_first(
    networks: dict[str, str], videos: list[Entry], tmp_path: Path
) -> None:
    some = settings(networks, shift="2", perturb="noise:3")
    whole = list(run_trials(videos, some, journal=tmp_path / "whole.jsonl"))
    path = tmp_path / "j.jsonl"
    begun = run_trials(videos, some, journal=path)
    for _ in range(4):  # into the second video
        next(begun)
    begun.close()
    told: list[CompareProgress] = []
    facts: list[VideoFacts] = []
    resumed = list(
        run_trials(videos, some, journal=path, on_progress=told.append, on_video=facts.append)
    )
    assert untimed(resumed) == untimed(whole)
    assert (told[0].resumed, told[0].videos_done) == (2, 2)
    assert (told[-1].videos_done, told[-1].failed) == (6, 3)
    assert [fact.resumed for fact in facts] == [True] * 2 + [False] * 4
    assert facts[0].shared_s > 0
    again = list(run_trials(videos, some, journal=path))
    assert again == resumed, "nothing is left to do, times included"


def test_a_changed_video_or_label_is_made_again(
    networks: dict[str, str], videos: list[Entry], tmp_path: Path
) -> None:
    some, path = settings(networks), tmp_path / "j.jsonl"
    video = flicker_video(tmp_path / "f.mp4", seconds=2.4, ahead_frames=1)
    (first,) = run_trials([Entry(str(video))], some, journal=path)
    (labelled,) = run_trials([Entry(str(video), Label(3.0))], some, journal=path)
    assert (first.truth_frames, labelled.truth_frames) == (None, 3.0)
    flicker_video(video, seconds=2.4, ahead_frames=-2)
    (changed,) = run_trials([Entry(str(video), Label(3.0))], some, journal=path)
    assert changed.offset_frames == pytest.approx(-2, abs=FINE)


def test_other_settings_are_another_run(
    networks: dict[str, str], videos: list[Entry], tmp_path: Path
) -> None:
    path = tmp_path / "j.jsonl"
    list(run_trials(videos[:1], settings(networks, shift="1,2"), journal=path))
    assert len(list(run_trials(videos[:1], settings(networks, shift=" 1, 2"), journal=path))) == 3
    for other in ({"shift": "1,3"}, {"max_offset": 20}, {"seed": 1}, {"perturb": "noise:1"}):
        some = settings(networks, **{"shift": "1,2", **other})
        with pytest.raises(UsageError, match=f"another run: {next(iter(other))}s? is"):
            list(run_trials(videos[:1], some, journal=path))
    with pytest.raises(UsageError, match="networks is"):
        list(run_trials(videos[:1], settings(networks, "fussy", shift="1,2"), journal=path))


def test_a_full_disk_ends_the_run_and_keeps_what_is_done(
    networks: dict[str, str],
    videos: list[Entry],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, some = tmp_path / "j.jsonl", settings(networks)
    add = Journal.add

    def full(self: Journal, key: str, video: str, *more: object) -> None:
        if Path(video).name[0] == "c":
            raise OutputError("cannot write j.jsonl: No space left on device")
        add(self, key, video, *more)

    with monkeypatch.context() as patch, pytest.raises(OutputError, match="No space left"):
        patch.setattr(Journal, "add", full)
        list(run_trials(videos, some, journal=path))
    told: list[CompareProgress] = []
    found = list(run_trials(videos, some, journal=path, on_progress=told.append))
    assert told[0].resumed == 2
    assert len(found) == 6


# -------------------------------------------------------------------------------- several processes

SCRIPT = """
import json, sys
from synctool.comparison.run import run_trials
from synctool.settings.compare import CompareSettings
from synctool.comparison.entries import Entry

if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    settings = CompareSettings(**given["settings"])
    entries = [Entry(video) for video in given["videos"]]
    for trial in run_trials(entries, settings, journal=given["journal"]):
        print(trial.film, flush=True)
"""


def started(
    folder: Path, given: CompareSettings, videos: list[str], journal: Path
) -> subprocess.Popen[str]:
    """A comparison in a process of its own."""
    script = folder / "script.py"
    script.write_text(SCRIPT)
    facts = {"settings": vars(given), "videos": videos, "journal": str(journal)}
    network = given.backbones[0].partition("=")[2]
    places = [Path(network).parent, Path(__file__).parent, os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, script, json.dumps(facts)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_run_that_was_killed_in_the_middle_goes_on(
    networks: dict[str, str], tmp_path: Path
) -> None:
    videos = [
        str(flicker_video(tmp_path / f"{i}.mp4", seconds=2.0, seed=i, ahead_frames=i))
        for i in range(8)
    ]
    some = settings(networks, shift="1")
    path = tmp_path / "j.jsonl"
    run = started(tmp_path, some, videos, path)
    assert run.stdout.readline().strip() == videos[0], run.stderr.read()
    run.kill()
    rest, _ = run.communicate(timeout=30)
    assert len(rest.split()) < 15, "it was not in the middle"
    progress: list[CompareProgress] = []
    entries = [Entry(video) for video in videos]
    resumed = list(run_trials(entries, some, journal=path, on_progress=progress.append))
    assert 1 <= progress[0].resumed < 8
    assert untimed(resumed) == untimed(list(run_trials(entries, some)))


def test_two_processes_say_what_one_says(
    networks: dict[str, str], videos: list[Entry], tmp_path: Path
) -> None:
    some = settings(networks, "flicker", "fussy", shift="random:2", perturb="noise:1")
    facts: list[VideoFacts] = []
    progress: list[CompareProgress] = []
    both = replace(some, jobs=2)
    found = list(
        run_trials(
            videos,
            both,
            journal=tmp_path / "j.jsonl",
            on_video=facts.append,
            on_progress=progress.append,
            thumbnails=1,
        )
    )
    assert untimed(found) == untimed(list(run_trials(videos, some)))
    assert [len(fact.thumbnails) for fact in facts] == [1, 1, 0, 1, 0, 0]
    assert (progress[-1].videos_done, progress[-1].failed) == (6, 4)
    assert any(p.step == "noise 1" for p in progress)
    assert len(list(run_trials(videos, some, journal=tmp_path / "j.jsonl"))) == len(found)


def test_a_video_whose_worker_died_has_rows_that_say_so(
    networks: dict[str, str],
    videos: list[Entry],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def workers(make: object, tasks: list[int], **more: object) -> Iterator[tuple[int, object]]:
        work = make()
        for number in tasks:
            yield number, Died("a worker died") if number == 1 else work(number, lambda _: None)

    monkeypatch.setattr(compare_engine, "in_workers", workers)
    some = settings(networks, "flicker", "fussy", jobs=3)
    path = tmp_path / "j.jsonl"
    found = list(run_trials(videos[:4], some, journal=path))
    assert [where(t) for t in found] == list("aabbccdd")
    assert [t.error for t in found[2:4]] == ["a worker died"] * 2
    assert {(where(t), t.error is None) for t in found if where(t) in "ad"} == {
        *(("a", True), ("d", True))
    }
    assert b"a.mp4" in path.read_bytes()
    assert b"b-short.mp4" not in path.read_bytes(), "another run may have better luck"


# -------------------------------------------------------------------------------- the public function


def test_compare_is_public(networks: dict[str, str], videos: list[Entry], tmp_path: Path) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text(f"path,offset_frames\n{videos[0].name},2\n{videos[3].name},-3\n")
    seen: list[Trial] = []
    found = synctool.compare(
        [videos[0].name, Path(videos[3].name)],
        backbones=[networks["flicker"]],
        shift=[-2, 1.5],
        labels=truth,
        detector="whole",
        device="cpu",
        on_trial=seen.append,
    )
    assert found.trials == tuple(seen)
    assert [t.condition.moved_frames for t in found.trials] == [0, -2, 1.5] * 2
    figures = {m.name: m.value for m in found.metrics if m.group == "all"}
    assert figures["accuracy_1"] == 1.0
    assert figures["inconclusive_rate"] == 0.0
    assert figures["shift_accuracy_0"] == 1.0


def test_labels_that_do_not_match_the_videos(
    networks: dict[str, str], videos: list[Entry], tmp_path: Path
) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text("path,offset_frames\nx.mp4,2\n")
    with pytest.raises(UsageError, match="says nothing about 1 of 1 videos"):
        synctool.compare(videos[0].name, backbones=[networks["flicker"]], labels=truth)


def test_videos_or_a_dataset(networks: dict[str, str], videos: list[Entry], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="brings its own videos"):
        synctool.compare(videos[0].name, dataset=tmp_path)
    with pytest.raises(UsageError, match="no videos given"):
        synctool.compare()
