"""Series per frame of a comparison lie on the disk, and nothing else changes by that."""

from __future__ import annotations

import errno
import json
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np

from fake_trials import compare_json, made_trial, set_of
from synctool.cli.compare_outputs import CompareOutputs, Targets
from synctool.comparison import series_store
from synctool.comparison.entries import Entry
from synctool.comparison.series_store import SeriesStore, StoredSeries
from synctool.evaluation.metrics import summarise
from synctool.settings.compare import CompareSettings
from synctool.types import FrameSeries, Trial

THREE = ("fcn-cls", "syncnet", "resnet3d+vggish")


def test_trials_with_stored_series_say_the_same() -> None:
    store = SeriesStore()
    labelled_set = [replace(t, frames=made_trial().frames) for t in set_of(backbones=THREE)]
    stored = [store.stored(trial) for trial in labelled_set]
    assert sum(isinstance(trial.frames, StoredSeries) for trial in stored) > len(stored) / 2
    assert [Trial.from_dict(trial.to_dict()) for trial in stored] == labelled_set
    assert compare_json(stored, summarise(stored)) == compare_json(
        labelled_set, summarise(labelled_set)
    )


def test_numbers_of_stored_series_are_exact() -> None:
    frames = FrameSeries((0.0, 1 / 3), (None, np.float64(1e-17)), (float("inf"), 3))
    trial = SeriesStore().stored(made_trial(frames=frames))
    assert FrameSeries(**{name: getattr(trial.frames, name) for name in vars(frames)}) == frames


def test_without_a_temporary_file_series_stay_in_memory(monkeypatch, caplog) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    store, trial = SeriesStore(), made_trial()
    assert [store.stored(trial), store.stored(trial)] == [trial, trial]
    assert len(caplog.records) == 1


def test_series_of_a_comparison_do_not_stay_in_memory(tmp_path, monkeypatch) -> None:
    """Not while trials come, and not while they are written."""
    monkeypatch.chdir(tmp_path)
    alive: weakref.WeakSet[Watched] = weakref.WeakSet()
    most = 0

    class Watched(FrameSeries):
        __hash__ = object.__hash__
        __eq__ = object.__eq__

        def __init__(self, *given: object, **more: object) -> None:
            nonlocal most
            super().__init__(*given, **more)
            alive.add(self)
            most = max(most, len(alive))

    monkeypatch.setattr(series_store, "FrameSeries", Watched)
    monkeypatch.setattr(series_store, "_RECENT", 2)
    videos = [f"{number}.mp4" for number in range(8)]
    outputs = CompareOutputs(
        [Entry(video) for video in videos],
        Targets(json="r.json", trials="r.jsonl", csv="r.csv", html="r.html"),
        one=False, read=[], command="", settings=CompareSettings(by="person"), quiet=True,
    )  # fmt: skip
    for video in videos:
        for backbone in ("fcn-cls", "syncnet"):
            made = made_trial(video, backbone, truth_frames=3.0)
            outputs.stream(replace(made, frames=Watched(**vars(made.frames))))
    del made
    lines = Path("r.jsonl").read_text().splitlines()
    assert len(lines) == 16, "trials are written as they come"
    outputs.all_done()
    trials = json.loads(Path("r.json").read_text())["trials"]
    assert trials == [json.loads(line) for line in lines]
    assert len(trials[-1]["frames"]["t_s"]) == 100
    assert 1 <= most <= 5
