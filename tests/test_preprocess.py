"""Films to shards: faces, failures, resume."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from films import PlacedFace, face_film
from synctool.data.packed import read_samples, shards_in
from synctool.engine import preprocess as module
from synctool.engine.preprocess import PreprocessProgress, preprocess
from synctool.errors import MissingError, UsageError
from synctool.types import SAMPLES_PER_FRAME

SETTINGS = {"detector": "centerface", "workers": 1, "min_frames": 12, "shard_films": 2}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for speaker in ("ann", "bo"):
        (folder / speaker).mkdir()
    face = PlacedFace(160, 100, 90)
    first = face_film(folder / "ann" / "1 'talk'.mp4", [(30, lambda i: [face])], size=(320, 200))
    shutil.copy(first, folder / "ann" / "2.mp4")
    shutil.copy(first, folder / "bo" / "3.mp4")
    (folder / "bo" / "4.mp4").write_text("no film")
    face_film(folder / "bo" / "5.mp4", [(20, lambda i: [])], size=(320, 200))
    return folder


def test_films_become_samples_and_failures_have_reasons(films: Path, tmp_path: Path) -> None:
    told: list[PreprocessProgress] = []
    done = preprocess(films, tmp_path / "out", on_progress=told.append, **SETTINGS)
    assert (done.films_done, done.samples, done.failures) == (5, 3, 2)
    assert told[0].films_done == 0 and told[-1] == done
    failures = {
        f["film"]: f["reason"] for f in json.loads((tmp_path / "out/failures.json").read_text())
    }
    assert "cannot be read" in failures["bo/4.mp4"]
    assert "no face" in failures["bo/5.mp4"]
    samples = [s for shard in shards_in(tmp_path / "out") for s in read_samples(shard)]
    assert [s.info.speaker for s in samples] == ["ann", "ann", "bo"]
    assert samples[0].info.video_path == "ann/1 'talk'.mp4"
    for sample in samples:
        assert sample.mouth.shape == (30, 96, 96)
        assert abs(sample.sound.size - 30 * SAMPLES_PER_FRAME) <= SAMPLES_PER_FRAME
        assert sample.mouth.std() > 10


def test_a_killed_run_goes_on(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = preprocess(films, tmp_path / "whole", **SETTINGS)
    real, made = module.film_samples, []

    def dies(entry, *args, **more):
        made.append(entry.name)
        if len(made) == 4:
            raise KeyboardInterrupt
        return real(entry, *args, **more)

    monkeypatch.setattr(module, "film_samples", dies)
    with pytest.raises(KeyboardInterrupt):
        preprocess(films, tmp_path / "out", **SETTINGS)
    assert len(shards_in(tmp_path / "out")) == 1
    assert not list((tmp_path / "out").glob(".synctool-*"))  # nothing half done is left
    made.clear()
    monkeypatch.setattr(
        module, "film_samples", lambda e, *a, **k: made.append(e.name) or real(e, *a, **k)
    )
    assert preprocess(films, tmp_path / "out", **SETTINGS) == whole
    assert len(made) == 3  # the finished shard was not made again
    for a, b in zip(shards_in(tmp_path / "out"), shards_in(tmp_path / "whole"), strict=True):
        assert a.read_bytes() == b.read_bytes()


def test_other_films_or_settings_are_refused(films: Path, tmp_path: Path) -> None:
    preprocess(films, tmp_path, **SETTINGS)
    with pytest.raises(UsageError, match="other settings"):
        preprocess(films, tmp_path, **{**SETTINGS, "min_frames": 20})


def test_workers_make_the_same_shards(films: Path, tmp_path: Path) -> None:
    preprocess(films, tmp_path / "one", **SETTINGS)
    preprocess(films, tmp_path / "two", **{**SETTINGS, "workers": 2})
    for a, b in zip(shards_in(tmp_path / "one"), shards_in(tmp_path / "two"), strict=True):
        assert a.read_bytes() == b.read_bytes()


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        preprocess(tmp_path / "none", tmp_path / "out", **SETTINGS)
