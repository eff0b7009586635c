"""Sets that know their own truth: processed folders, and folders of videos with labels or a manifest."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import flicker
from compare_networks import installed
from fake_samples import write_processed
from flicker import flicker_audio, flicker_video, pattern
from synctool.comparison.entries import Entry, dataset_entries, read_languages
from synctool.comparison.run import CompareProgress, compare, run_trials
from synctool.data.samples import PORTRAIT_PX, Sample, SampleInfo
from synctool.errors import MissingError, SyncToolError, UsageError
from synctool.settings.compare import CompareSettings
from synctool.types import Label, Trial

pytestmark = pytest.mark.integration

FINE = 0.2
LEAD = 1000
"""Samples of a clip's audio before its first frame."""


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with installed(tmp_path_factory.mktemp("installed")) as names:
        yield names


def clip(
    key: str,
    *,
    seed: int = 0,
    ahead_frames: float = 0.0,
    frames: int = 80,
    crop: str = "face",
    **facts: str,
) -> Sample:
    """A stored clip whose light and audio flicker together."""
    at = pattern(seed)
    levels = [140 if at((t + 0.5) / 25) else 110 for t in range(frames)]
    crops = np.broadcast_to(np.uint8(levels)[:, None, None], (frames, 32, 32)).copy()
    seconds = frames / 25 + 2 * LEAD / 16_000
    audio = flicker_audio(lambda t: at(t + ahead_frames / 25), seconds, start_s=-LEAD / 16_000)
    info = SampleInfo(
        key=key,
        video_path=f"{key}.mp4",
        speaker=facts.get("speaker", ""),
        source=facts.get("source", "made"),
        split=facts.get("split", ""),
        track=0,
        first_tick=0,
        num_frames=frames,
        sound_lead=LEAD,
        crop=crop,
        size_px=32,
        language=facts.get("language", ""),
    )
    portrait = np.full((PORTRAIT_PX, PORTRAIT_PX), 100, np.uint8)
    return Sample(info, crops, portrait, (audio * 32767).astype(np.int16))


def write_split(folder: Path, parts: dict[str, tuple[str, str]]) -> Path:
    path = folder / "split.json"
    rows = [{"key": key, "person": person, "split": part} for key, (person, part) in parts.items()]
    path.write_text(json.dumps(rows))
    return path


def plain(networks: dict[str, str], *names: str, **more: object) -> CompareSettings:
    chosen = tuple(networks[name] for name in names or ["flicker"])
    return CompareSettings(backbones=chosen, device="cpu", detector="whole", **more)


def untimed(trials: Sequence[Trial]) -> list[Trial]:
    return [replace(t, seconds=0.0, memory_mb=None) for t in trials]


def names(entries: Sequence[Entry]) -> list[str]:
    return [Path(entry.name).name for entry in entries]


# ------------------------------------------------------------------------------ a processed folder


@pytest.fixture(params=["packed", "folders"])
def processed(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    folder = tmp_path / "processed"
    folder.mkdir()
    for number, keys in enumerate([("a1", "a2"), ("b1", "c1")]):
        samples = [
            clip(key, seed=i + number, ahead_frames=number, speaker=key[0], source=f"set{number}")
            for i, key in enumerate(keys)
        ]
        write_processed(folder, samples, layout=request.param, number=number)
    return folder


def test_languages_come_from_the_clip_or_else_from_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "processed"
    folder.mkdir()
    samples = [clip("a1", language="vi"), clip("b1", source="other"), clip("c1", speaker="c")]
    write_processed(folder, samples, layout="packed", number=0)
    spoken = tmp_path / "languages.json"
    spoken.write_text('{"made": "en", "c": "fr"}')
    found = dataset_entries(folder, languages=spoken)
    assert [e.label.language for e in found] == ["vi", "", "fr"]


def test_a_language_file_of_another_form_is_refused(tmp_path: Path) -> None:
    spoken = tmp_path / "languages.json"
    spoken.write_text('{"made": 1}')
    with pytest.raises(SyncToolError, match="holds no languages"):
        read_languages(spoken)
    with pytest.raises(MissingError, match="no such file"):
        read_languages(tmp_path / "none.json")


def test_clips_are_measured_as_they_are_stored(networks: dict[str, str], processed: Path) -> None:
    entries = dataset_entries(processed)
    assert [e.name for e in entries] == ["a1", "a2", "b1", "c1"]
    assert [e.label for e in entries[1:3]] == [Label(0.0, "a", "set0"), Label(0.0, "b", "set1")]
    some = plain(networks, shift="-5,2.5", pieces=1)
    found = list(run_trials(entries, some))
    assert [t.condition.kind for t in found[:6]] == ["plain", "shift", "shift"] + ["piece"] * 3
    assert all(t.error is None for t in found)
    for trial in found:
        if trial.condition.kind != "piece":
            own = 0 if trial.label.source == "set0" else 1
            assert trial.error_frames == pytest.approx(own, abs=FINE), trial.film
    assert found[0].duration_s == pytest.approx(80 / 25)
    assert found[0].answered
    assert found[0].windows[15][1] > 30
    assert untimed(found) == untimed(list(run_trials(dataset_entries(processed), some)))


def test_a_clip_gives_what_its_video_gives(networks: dict[str, str], tmp_path: Path) -> None:
    video_file = flicker_video(tmp_path / "f.mp4", seconds=3.2, ahead_frames=2, seed=4)
    write_processed(tmp_path / "p", [clip("f", seed=4, ahead_frames=2)])
    some = plain(networks, shift="3")
    whole = list(run_trials([Entry(str(video_file))], some))
    stored = list(run_trials(dataset_entries(tmp_path / "p"), some))
    offsets = [t.offset_frames for t in stored]
    assert offsets == pytest.approx([t.offset_frames for t in whole], abs=FINE)


def test_constants_are_the_truth(networks: dict[str, str], processed: Path, tmp_path: Path) -> None:
    constants = tmp_path / "constants.json"
    constants.write_text(json.dumps({"set1": 1.0, "c": 0.75, "a2": -0.5}))
    entries = dataset_entries(processed, constants=constants)
    assert [e.label.offset_frames for e in entries] == [0.0, -0.5, 1.0, 0.75]
    found = compare(
        dataset=processed,
        constants=constants,
        backbones=[networks["flicker"]],
        device="cpu",
        by=["source"],
    )
    figures = {(m.name, m.group): m.value for m in found.metrics}
    assert figures["accuracy_1", "source=set1"] == 1.0


def test_only_who_was_kept_out_of_training_judges(processed: Path, tmp_path: Path) -> None:
    parts = {"a1": ("anna", "train"), "a2": ("anna", "train"), "b1": ("ben", "val")}
    write_split(processed, {**parts, "c1": ("cleo", "test")})
    assert [e.label.person for e in dataset_entries(processed)] == ["cleo"]
    assert names(dataset_entries(processed, part="val")) == ["b1"]
    assert names(dataset_entries(processed, part="all")) == ["a1", "a2", "b1", "c1"]
    other = write_split(tmp_path, parts)
    assert names(dataset_entries(processed, split=other)) == ["b1"], "nobody is in its test"
    with pytest.raises(MissingError, match="kept for test"):
        dataset_entries(processed, part="test", split=other)
    with pytest.raises(MissingError, match="no such split"):
        dataset_entries(processed, split=tmp_path / "gone.json")


def test_a_collections_own_parts_count_without_a_split(tmp_path: Path) -> None:
    clips = [clip("a", split="train"), clip("b", split="dev"), clip("c", split="dev")]
    write_processed(tmp_path, clips)
    assert names(dataset_entries(tmp_path)) == ["b", "c"]
    assert dataset_entries(tmp_path)[0].label.person == "made/b.mp4", (
        "its video stands for a person"
    )


def test_a_limit_takes_clips_evenly_from_each_source(tmp_path: Path) -> None:
    clips = [clip(f"a{i}", frames=12, source="a") for i in range(7)]
    clips += [clip(f"b{i}", frames=12, source="b") for i in range(2)]
    write_processed(tmp_path, clips)
    assert names(dataset_entries(tmp_path, limit=3)) == ["a0", "a3", "a6", "b0", "b1"]
    assert len(dataset_entries(tmp_path, limit=100)) == 9
    with pytest.raises(UsageError, match="limit is -1"):
        dataset_entries(tmp_path, limit=-1)


def test_crops_that_a_network_cannot_take(networks: dict[str, str], tmp_path: Path) -> None:
    write_processed(tmp_path, [clip("a", crop="mouth"), clip("b")])
    found = list(run_trials(dataset_entries(tmp_path), plain(networks, "flicker", "fussy")))
    assert [t.error is None for t in found] == [False, False, True, True]
    assert "mouth crops of 32 px" in found[0].error
    assert "face crops" in found[0].error


def test_a_damaged_clip_costs_itself_only(networks: dict[str, str], tmp_path: Path) -> None:
    write_processed(tmp_path, [clip("a"), clip("b")], layout="folders")
    for path in (tmp_path / "a").iterdir():
        if path.suffix in {".wav", ".flac"}:
            path.write_bytes(b"nothing")
    found = list(run_trials(dataset_entries(tmp_path), plain(networks)))
    assert [t.error is None for t in found] == [False, True]


def test_only_the_audio_of_clips_can_be_degraded(networks: dict[str, str], tmp_path: Path) -> None:
    write_processed(tmp_path, [clip("a")])
    entries = dataset_entries(tmp_path)
    undisturbed, noisy = run_trials(entries, plain(networks, perturb="noise:1"))
    assert noisy.error is None
    assert noisy.truth_frames == undisturbed.truth_frames == 0.0
    with pytest.raises(UsageError, match="cannot be degraded by blur"):
        next(run_trials(entries, plain(networks, perturb="noise:1,blur:1")))


def test_clips_stand_in_a_journal(networks: dict[str, str], tmp_path: Path) -> None:
    write_processed(tmp_path / "p", [clip("a"), clip("b")])
    path = tmp_path / "j.jsonl"
    first = list(run_trials(dataset_entries(tmp_path / "p"), plain(networks), journal=path))
    told: list[CompareProgress] = []
    entries = dataset_entries(tmp_path / "p")
    again = list(run_trials(entries, plain(networks), journal=path, on_progress=told.append))
    assert told[0].resumed == 2
    assert again == first


def test_clips_go_to_other_processes(tmp_path: Path) -> None:
    write_processed(tmp_path, [clip("a"), clip("b", seed=1)])
    entries = dataset_entries(tmp_path)
    there = pickle.loads(pickle.dumps(entries))  # what a worker is given
    assert [e.name for e in there] == ["a", "b"]
    np.testing.assert_array_equal(there[1].clip.crops, entries[1].clip.crops)


def test_a_network_that_takes_no_face_crops_of_that_size_says_so(tmp_path: Path) -> None:
    from synctool.measure.encode_clip import encode_clip
    from synctool.networks.load import load_model

    with flicker.installed():
        model = load_model("flicker", weights=flicker.save_weights(tmp_path / "w.safetensors"))
    large = replace(model, spec=replace(model.spec, video=replace(model.spec.video, size_px=64)))
    (made,) = encode_clip(clip("a"), [large]).models
    assert "32 px" in made.error
    assert made.faces == ()


# ------------------------------------------------------------------------------- a folder of videos


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    for i, name in enumerate(["one/a.mp4", "one/b.mp4", "two/c.mp4"]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        flicker_video(folder / name, seconds=2.0, ahead_frames=i, seed=i)
    return folder


def test_a_folder_with_labels(networks: dict[str, str], videos: Path) -> None:
    (videos / "labels.csv").write_text(
        "path,offset_ms,person,source\none/b.mp4,40,ben,x\ntwo/c.mp4,80,cleo,y\n"
    )
    entries = dataset_entries(videos)
    assert names(entries) == ["b.mp4", "c.mp4"]
    assert [e.label for e in entries] == [Label(1.0, "ben", "x"), Label(2.0, "cleo", "y")]
    found = list(run_trials(entries, plain(networks)))
    assert [t.error_frames for t in found] == pytest.approx([0, 0], abs=FINE)


def test_a_folder_with_a_manifest(videos: Path, tmp_path: Path) -> None:
    (videos / "manifest.csv").write_text(
        "path,source,speaker,split\n"
        "one/a.mp4,x,anna,train\none/b.mp4,x,ben,dev\ntwo/c.mp4,y,cleo,test\n"
    )
    assert names(dataset_entries(videos)) == ["c.mp4"]
    assert names(dataset_entries(videos, part="val")) == ["b.mp4"]
    entries = dataset_entries(videos, part="all")
    assert [e.label for e in entries] == [
        *(Label(None, "anna", "x"), Label(None, "ben", "x"), Label(None, "cleo", "y"))
    ]
    constants = tmp_path / "c.json"
    constants.write_text('{"x": 0.5, "two/c.mp4": 2}')
    known = dataset_entries(videos, part="all", constants=constants)
    assert [e.label.offset_frames for e in known] == [0.5, 0.5, 2.0]


def test_labels_and_a_manifest_say_it_together(videos: Path) -> None:
    (videos / "labels.csv").write_text("path,offset_ms,person\none/a.mp4,0,\ntwo/c.mp4,80,other\n")
    (videos / "manifest.csv").write_text(
        "path,source,speaker\none/a.mp4,x,anna\none/b.mp4,x,ben\ntwo/c.mp4,y,cleo\n"
    )
    entries = dataset_entries(videos)
    assert [e.label for e in entries] == [Label(0.0, "anna", "x"), Label(2.0, "other", "y")]


def test_what_is_no_set_is_said(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="nothing says what is in"):
        dataset_entries(videos)
    with pytest.raises(MissingError, match="no such folder"):
        dataset_entries(tmp_path / "gone")
    with pytest.raises(UsageError, match="no part 'train'"):
        dataset_entries(videos, part="train")
    (videos / "labels.csv").write_text("path,offset_ms\none/a.mp4,0\n")
    with pytest.raises(UsageError, match="holds no processed videos"):
        dataset_entries(videos, split=tmp_path / "split.json")
    constants = tmp_path / "c.json"
    constants.write_text("[]")
    with pytest.raises(SyncToolError, match="holds no constants"):
        dataset_entries(videos, constants=constants)
