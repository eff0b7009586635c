"""Exports through formats of a plugin: checked, refused, kept under another name; and what surrounds them."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fake_exporters
import flicker
from fake_exporters import FORMATS, NETWORK, WRITTEN, flicker_sample
from fake_samples import write_processed
from synctool.errors import ExportError, MissingError, OutputError, UsageError
from synctool.exporting import check as export_check
from synctool.exporting import folder as export_folder
from synctool.exporting import latency
from synctool.exporting.parity import AtOnce, InSteps, compare
from synctool.exporting.requirements import LEAST_AGREEMENT, TOLERANCES
from synctool.exporting.run import CheckFailed, ExportEvent, export
from synctool.exporting.windows import (
    LENGTHS,
    SHIFTS,
    Inputs,
    made_up_windows,
    of_length,
    real_windows,
)
from synctool.extras import missing_modules
from synctool.features.frontends import FRONT_ENDS
from synctool.measure.detect import Detector
from synctool.networks.formats import formats
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.settings.export import ExportSettings
from synctool.types import SAMPLES_PER_FRAME
from synctool.weights.artefact import MANIFEST, read_artefact

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _formats(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for module in (export_check, latency):
        monkeypatch.setattr(module, "usable_cores", lambda: 1)  # threads cost tiny networks a lot
    for name in ("_RUNS", "_LEAST_RUNS"):
        monkeypatch.setattr(latency, name, 1)
    with fake_exporters.installed():
        yield


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return flicker.save_weights(tmp_path / "weights.safetensors", backbone="scored")


@pytest.fixture
def wanted(tmp_path: Path, weights: Path) -> ExportSettings:
    """A small export that passes."""
    return ExportSettings(
        out=tmp_path / "out", backbone="scored", weights=weights, format="fake", windows=4
    )


@pytest.fixture
def processed(tmp_path: Path) -> Path:
    folder = tmp_path / "processed"
    folder.mkdir()
    samples = [flicker_sample(f"clip{i}", seed=i) for i in range(4)]
    write_processed(folder, samples)
    rows = [
        {"key": f"clip{i}", "person": f"p{i}", "split": "train" if i < 2 else "val"}
        for i in range(4)
    ]
    (folder / "split.json").write_text(json.dumps(rows))
    return folder


def beside(wanted: ExportSettings) -> list[str]:
    """What lies beside the weights."""
    return sorted(p.name for p in wanted.out.parent.iterdir() if p.name != "weights.safetensors")


# --------------------------------------------------------------------------- what passes


def test_a_plugins_format_is_written_checked_and_told(wanted: ExportSettings) -> None:
    events: list[ExportEvent] = []
    report = export(wanted, on_event=events.append)
    assert report.passed
    assert not report.problems
    assert report.folder == str(wanted.out)
    assert (report.windows, report.real, report.agreement) == (4, False, 1.0)
    assert {g.name for g in report.graphs} == {"video", "audio", "head"}
    assert all(d.maximum < 1e-5 for g in report.graphs for d in g.differences.values())
    assert report.scores is not None
    assert report.scores.maximum < 1e-4
    assert {(s.graph, s.threads) for s in report.speeds} >= {
        ("video", 1),
        ("audio", 1),
        ("head", 1),
    }
    assert all(s.torch_ms > 0 and s.export_ms > 0 for s in report.speeds)
    assert json.loads(json.dumps(report.to_dict()))["passed"] is True
    steps = [event.step for event in events]
    assert steps.index("writing video") < steps.index("comparing windows")
    assert (events[-1].step, beside(wanted)) == ("measuring the speed", ["out"])


def test_the_manifest_says_what_is_needed_and_what_was_measured(wanted: ExportSettings) -> None:
    export(wanted)
    artefact = read_artefact(wanted.out)
    assert (artefact.format, artefact.precision, artefact.backbone) == ("fake", "float32", "scored")
    assert artefact.weights.startswith("weights sha256:")
    assert artefact.parts["head"].inputs["sounds"] == ("batch", 5, "sounds")
    assert artefact.checks["checked"] is True
    assert artefact.checks["differences"]["video"]["video"]["maximum"] < 1e-5
    assert len(artefact.checks["speeds"]) >= 3
    texts = WRITTEN[0]["metadata"]
    assert all(isinstance(k, str) and isinstance(v, str) for k, v in texts.items())
    facts = json.loads(texts["synctool"])
    assert (facts["backbone"], facts["video_fps"], facts["margin"]) == ("scored", 25, 0)
    assert facts["class_to_offset"].startswith("offset_frames = row - max_offset")


def test_what_was_exported_measures_videos(wanted: ExportSettings, tmp_path: Path) -> None:
    export(wanted)
    video_file = flicker.flicker_video(tmp_path / "film.mp4", seconds=3, ahead_frames=4, seed=2)
    model = load_model("scored", weights=wanted.out, device="cpu")
    found = Detector(model=model, detector="whole").detect(video_file)
    assert found.offset_frames == pytest.approx(4, abs=0.2)
    assert model.runtime.name == "fake"


def test_a_part_alone_is_checked_with_pytorch_for_the_rest(wanted: ExportSettings) -> None:
    report = export(replace(wanted, parts=("video",)))
    assert report.passed
    assert [g.name for g in report.graphs] == ["video"]
    assert set(report.graphs[0].differences) == {"video"}
    assert report.scores is not None
    with pytest.raises(CheckFailed, match="video: embeddings differ"):
        export(replace(wanted, parts=("video", "audio"), format="fake-late"))


def test_one_graph_of_all(wanted: ExportSettings) -> None:
    report = export(replace(wanted, parts=("one",)))
    assert report.passed
    assert set(report.graphs[0].differences) == {"video", "audio"}
    assert report.graphs[0].file == "model.fake"
    assert report.scores is not None
    assert {s.graph for s in report.speeds} == {"model"}
    with pytest.raises(CheckFailed):
        export(replace(wanted, parts=("one",), format="fake-late"))


def test_one_graph_hears_nothing_where_a_clip_has_ended(
    wanted: ExportSettings, processed: Path
) -> None:
    report = export(replace(wanted, parts=("one",), clips=(str(processed),), windows=8))
    assert (report.passed, report.real, report.agreement) == (True, True, 1.0)


def test_a_format_of_one_length_is_compared_on_that_length(
    wanted: ExportSettings, processed: Path
) -> None:
    fixed = replace(wanted, format="fake-fixed", clips=(str(processed),), dataset=str(processed))
    report = export(fixed)
    assert (report.passed, report.real, report.windows) == (True, True, 4)
    assert "windows of 25 frames, and of no other length" in report.notes[0]
    assert "accuracy not measured" in report.notes[-1]
    assert (report.accuracy, report.fixed_frames) == ((), 25)
    assert read_artefact(wanted.out).parts["video"].inputs["video"] == (1, 1, 25, 16, 16)
    assert export(replace(fixed, parts=("audio",))).passed
    short = wanted.out.with_name("short")
    short.mkdir()
    write_processed(short, [flicker_sample("s", frames=20)])
    report = export(replace(wanted, format="fake-fixed", clips=(str(short),)))
    assert (report.passed, report.real) == (True, False)
    assert "no clip is as long as 25 frames" in report.notes[1]


def test_a_pruned_network_is_compared_with_itself_and_sized_with_the_whole(
    wanted: ExportSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prune(model: LoadedModel, ratio: float) -> LoadedModel:
        return replace(model, weights=f"{model.weights} pruned by {ratio:.0%}")

    monkeypatch.setattr("synctool.exporting.pruning.prune", prune)
    report = export(replace(wanted, prune=0.25))
    assert report.passed
    assert (report.pruned, report.torch_bytes) == (0.25, 4)
    assert read_artefact(wanted.out).weights.endswith("pruned by 25%")


def test_what_was_pruned_is_trained_beside_the_exported_model(
    wanted: ExportSettings, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    def prune_weights(name: str, ratio: float, out: Path, *, weights: Path | None) -> object:
        calls.append((name, ratio, out, weights))
        return SimpleNamespace(backbone=name)

    def fine_tune(
        pruned: object, data: Path, *, steps: int, constants: Path | None, on_progress: object
    ) -> Path:
        calls.append((data, steps, constants))
        on_progress(SimpleNamespace(step=1, steps=steps))
        return flicker.save_weights(tmp_path / "tuned.safetensors", backbone="scored")

    monkeypatch.setattr("synctool.exporting.pruning.prune_weights", prune_weights)
    monkeypatch.setattr("synctool.exporting.pruning.fine_tune", fine_tune)
    events: list[ExportEvent] = []
    known = tmp_path / "constants.json"
    tuned = replace(wanted, prune=0.25, fine_tune=tmp_path / "data", steps=7, constants=known)
    report = export(tuned, on_event=events.append)
    assert report.weights.startswith("tuned sha256:")
    folder = tmp_path / "out-pruned"
    assert calls == [("scored", 0.25, folder, weights), (tmp_path / "data", 7, known)]
    assert ExportEvent("training what is left", 1, 7) in events
    assert str(folder) in report.notes[-1]


def test_a_head_that_cannot_be_exported_leaves_the_encoders(
    wanted: ExportSettings, tmp_path: Path
) -> None:
    own = flicker.save_weights(tmp_path / "w2.safetensors", backbone=flicker.NAME)
    plain = replace(wanted, backbone=flicker.NAME, weights=own)
    with pytest.raises(ExportError, match="score_window") as caught:
        export(plain)
    assert "--parts video,audio" in str(caught.value)
    assert not plain.out.exists()
    assert export(replace(plain, parts=("video", "audio"))).passed


# --------------------------------------------------------------------------- what does not


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fake-late", "video: embeddings differ by up to"),
        ("fake-coarse", "and 0.001 is allowed"),
        ("fake-nan", "values that are no numbers"),
        ("fake-short", "gives 1 x 5 x 24"),
        ("fake-one", "in place of 2 x"),
        ("fake-unread", "cannot be opened again: Unspeakable"),
    ],
)
def test_a_model_that_answers_otherwise_is_kept_under_another_name(
    wanted: ExportSettings, name: str, said: str
) -> None:
    with pytest.raises(CheckFailed) as caught:
        export(replace(wanted, format=name))
    assert said in caught.value.cause
    assert caught.value.exit_code == 1
    assert "out.failed-check" in str(caught.value)
    assert beside(wanted) == ["out.failed-check"]
    kept = read_artefact(wanted.out.with_name("out.failed-check"))
    assert said in " ".join(kept.checks["problems"])
    assert caught.value.report.problems == tuple(kept.checks["problems"])
    assert not caught.value.report.passed


def test_a_tolerance_can_be_chosen(wanted: ExportSettings) -> None:
    assert export(replace(wanted, format="fake-coarse", tolerance=0.1)).passed
    with pytest.raises(CheckFailed, match=r"1e-09 is allowed"):
        export(replace(wanted, format="fake-coarse", tolerance=1e-9))


def test_an_older_model_stays_when_the_new_one_fails(wanted: ExportSettings) -> None:
    export(wanted)
    before = (wanted.out / MANIFEST).read_text()
    for name in ("fake-late", "fake-late"):  # the second failure replaces the first
        with pytest.raises(CheckFailed):
            export(replace(wanted, format=name))
    assert (wanted.out / MANIFEST).read_text() == before
    assert beside(wanted) == ["out", "out.failed-check"]
    assert export(replace(wanted, parts=("video",))).passed
    assert sorted(p.name for p in wanted.out.iterdir()) == [MANIFEST, "video.fake"]


def test_a_failed_model_replaces_nothing_foreign(wanted: ExportSettings) -> None:
    taken = wanted.out.with_name("out.failed-check")
    taken.mkdir()
    (taken / "notes.txt").write_text("mine")
    with pytest.raises(CheckFailed, match="did not pass"):
        export(replace(wanted, format="fake-late"))
    assert (taken / "notes.txt").read_text() == "mine"
    assert beside(wanted) == ["out.failed-check", "out.failed-check-2"]


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("fake-nothing", ExportError, "it left no file behind"),
        ("fake-wrongly", ExportError, r"Unspeakable: \(its message cannot be read\)"),
        ("fake-refused", ExportError, "aten::magic"),
        ("fake-half", OutputError, "No space left on device"),
        ("fake-interrupted", KeyboardInterrupt, "^$"),
    ],
)
def test_a_writer_that_fails_leaves_nothing(
    wanted: ExportSettings, name: str, error: type[BaseException], said: str
) -> None:
    with pytest.raises(error, match=said):
        export(replace(wanted, format=name))
    assert beside(wanted) == []


def test_a_full_disk_is_told_also_where_a_format_makes_its_own_error_of_it(
    wanted: ExportSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(part: object, path: Path, **given: object) -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise ExportError("the graph video cannot be written") from error

    monkeypatch.setattr(fake_exporters, "write", write)
    with pytest.raises(OutputError, match="The disk is full"):
        export(wanted)


@pytest.mark.parametrize(
    ("name", "because"),
    [
        ("fake-blind", "nothing runs fake-blind from Python"),
        ("fake-elsewhere", "runs on Plan9 only"),
        ("fake-card", "no such card"),
    ],
)
def test_what_cannot_run_here_is_exported_and_said_to_be_unchecked(
    wanted: ExportSettings, name: str, because: str
) -> None:
    report = export(replace(wanted, format=name))
    assert (report.checked, report.passed, report.problems) == (False, False, ())
    assert because in report.unchecked_because
    assert read_artefact(wanted.out).checks["unchecked_because"] == report.unchecked_because
    assert (report.windows, report.speeds) == (0, ())


# --------------------------------------------------------------------------- before the work


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "fakee"}, "Did you mean fake"),
        ({"format": "fake-late", "precision": "float16"}, "It has float32"),
        ({"precision": "int8-static"}, "--clips"),
        ({"fine_tune": Path("x")}, "--prune"),
        ({"parts": ("one",), "precision": "int8-dynamic"}, "--parts out"),
        ({"parts": ("one",), "dataset": "x"}, "Leave one"),
    ],
)
def test_settings_that_make_no_sense(
    wanted: ExportSettings, change: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        export(replace(wanted, **change))
    assert beside(wanted) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vidio", "Did you mean video"),
        ("video,video", "twice"),
        ("", "list of texts"),
        ("video,one", "part"),
    ],
)
def test_parts_that_are_none(wanted: ExportSettings, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        export(replace(wanted, parts=text))


def test_parts() -> None:
    assert ExportSettings(parts="head, video").parts == ("head", "video")
    assert ExportSettings(parts="one").parts == ("one",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"windows": 0}, "windows: 0 is out of range: at least 1"),
        ({"tolerance": 0.0}, "above 0"),
        ({"prune": 1.0}, "share to take out"),
        ({"limit": 3}, "--limit has no effect without --dataset"),
        ({"steps": 3}, "--steps has no effect without --prune"),
    ],
)
def test_values_that_make_no_sense(
    wanted: ExportSettings, change: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        export(wanted, **change)


def test_a_tool_that_is_missing_says_how_to_get_it(wanted: ExportSettings) -> None:
    with pytest.raises(MissingError, match=r"no_such_tool, no_such\.part, which are not") as caught:
        export(replace(wanted, format="fake-tool"))
    assert "pip install 'synctool[magic]'" in str(caught.value)
    assert caught.value.exit_code == 5
    assert missing_modules(["json", "no_such.part"]) == ("no_such.part",)
    found = {status.spec.name: status.to_dict() for status in formats()}
    assert found["fake-tool"]["can_write"] is False
    assert found["fake-tool"]["install"] == "pip install 'synctool[magic]'"
    assert found["fake-blind"]["can_run"] is False
    assert found.keys() >= {spec.name for spec in FORMATS} | {"onnx"}


def test_a_folder_with_other_files_is_refused(wanted: ExportSettings) -> None:
    wanted.out.mkdir()
    assert export(wanted).passed, "an empty one is taken"
    (wanted.out / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds other files.*notes\.txt"):
        export(wanted)
    assert (wanted.out / "notes.txt").read_text() == "mine"
    other = replace(wanted, out=wanted.out / "video.fake")
    with pytest.raises(UsageError, match="is a file"):
        export(other)
    not_ours = replace(wanted, out=wanted.out.with_name("films"))
    not_ours.out.mkdir()
    (not_ours.out / "video.mp4").write_text("a video, and no manifest beside it")
    with pytest.raises(UsageError, match=r"video\.mp4"):
        export(not_ours)


@pytest.mark.parametrize("name", ["video.mp4", "audio.wav", "head.png", "model.blend"])
def test_a_file_of_somebody_else_beside_a_model_is_never_taken_for_a_graph(
    wanted: ExportSettings, name: str
) -> None:
    export(wanted)
    before = (wanted.out / MANIFEST).read_bytes()
    (wanted.out / name).write_bytes(b"mine")
    with pytest.raises(UsageError, match=f"holds other files.*{name}"):
        export(wanted)
    assert (wanted.out / name).read_bytes() == b"mine"
    assert (wanted.out / MANIFEST).read_bytes() == before


def test_a_graph_that_somebody_changed_is_not_replaced(wanted: ExportSettings) -> None:
    export(wanted)
    graph = wanted.out / "video.fake"
    changed = bytes(b ^ 1 for b in graph.read_bytes())
    graph.write_bytes(changed)  # of the same length
    with pytest.raises(UsageError, match=r"holds other files.*video\.fake"):
        export(wanted)
    assert graph.read_bytes() == changed


@pytest.mark.parametrize("text", ["[]", '{"schema": "mine/1"}', ""])
def test_a_manifest_that_is_none_makes_everything_beside_it_foreign(
    wanted: ExportSettings, text: str
) -> None:
    wanted.out.mkdir()
    (wanted.out / MANIFEST).write_text(text)
    with pytest.raises(UsageError, match=r"holds other files.*synctool\.json"):
        export(wanted)
    assert (wanted.out / MANIFEST).read_text() == text


def test_a_file_that_comes_while_the_model_is_made_stays(wanted: ExportSettings) -> None:
    export(wanted)

    def comes(event: ExportEvent) -> None:
        (wanted.out / "notes.txt").write_text("mine")

    with pytest.raises(UsageError, match=r"notes\.txt"):
        export(wanted, on_event=comes)
    assert (wanted.out / "notes.txt").read_text() == "mine"
    assert beside(wanted) == ["out"]


@pytest.mark.parametrize("inside", [False, True], ids=["elsewhere", "current folder"])
@pytest.mark.parametrize("name", ["notes.txt", "video.fake"])
def test_a_file_that_comes_at_the_very_last_moment_stays(
    wanted: ExportSettings, monkeypatch: pytest.MonkeyPatch, name: str, inside: bool
) -> None:
    """Between the check of the old folder and its replacement, too."""
    export(wanted)
    before = (wanted.out / MANIFEST).read_bytes()
    check, late = export_folder._refuse_foreign, []

    def comes_after_the_check(folder: Path, **given: object) -> None:
        check(folder, **given)
        if late:
            late.pop().write_bytes(b"mine")

    monkeypatch.setattr(export_folder, "_refuse_foreign", comes_after_the_check)
    if inside:
        monkeypatch.chdir(wanted.out)
    folder = wanted.out.with_name("made")
    folder.mkdir()
    (folder / "new.fake").write_bytes(b"new")
    late.append(wanted.out / name)
    with pytest.raises(UsageError, match=rf"out holds other files.*{name}"):
        export_folder.put(folder, wanted.out)
    assert (wanted.out / name).read_bytes() == b"mine"
    assert (wanted.out / MANIFEST).read_bytes() == before
    assert beside(wanted) == ["made", "out"]
    assert [path.name for path in folder.iterdir()] == ["new.fake"]


def test_an_empty_folder_is_filled(wanted: ExportSettings) -> None:
    wanted.out.mkdir()
    assert export(wanted).passed
    assert beside(wanted) == ["out"]


def test_the_current_folder_is_kept_and_filled(
    wanted: ExportSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted.out.mkdir()
    monkeypatch.chdir(wanted.out)
    here = replace(wanted, out=Path())
    before = os.stat(os.curdir).st_ino
    for parts in (("video", "audio", "head"), ("video",)):
        assert export(replace(here, parts=parts)).passed
        assert os.stat(os.curdir).st_ino == before, "a shell that stands there still does"
    assert sorted(os.listdir()) == [MANIFEST, "video.fake"]
    assert beside(wanted) == ["out"]


def test_a_pruned_network_goes_beside_the_current_folder(
    wanted: ExportSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted.out.mkdir()
    monkeypatch.chdir(wanted.out)
    monkeypatch.setattr("synctool.exporting.pruning.prune", lambda model, ratio: model)
    assert export(replace(wanted, out=Path(), prune=0.25)).passed
    assert beside(wanted) == ["out", "out-pruned"]


def test_a_place_that_cannot_be_written(wanted: ExportSettings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        export(replace(wanted, out=tmp_path / "file" / "out"))


def test_a_link_to_a_folder_stays_a_link(wanted: ExportSettings, tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    export(replace(wanted, out=link))
    assert link.is_symlink()
    assert (real / MANIFEST).is_file()


# --------------------------------------------------------------------------- precisions


def test_eight_bits_are_for_the_encoders_and_ranges_come_from_clips(
    wanted: ExportSettings, processed: Path
) -> None:
    report = export(replace(wanted, precision="int8-static", clips=(str(processed),)))
    assert report.passed
    assert (report.real, report.tolerance) == (True, TOLERANCES["int8-static"])
    assert report.least_agreement == LEAST_AGREEMENT["int8-static"]
    told = {w["part"]: w for w in WRITTEN}
    assert {part: w["precision"] for part, w in told.items()} == {
        "video": "int8-static",
        "audio": "int8-static",
        "head": "float32",
    }
    assert told["head"]["clips"] is None
    for part, axes in (("video", 5), ("audio", 2)):
        clips = told[part]["clips"]
        assert len(clips) >= 8
        assert all(len(given) == 1 and given[0].ndim == axes for given in clips)
    assert read_artefact(wanted.out).precision == "int8-static"
    WRITTEN.clear()
    export(replace(wanted, precision="float16"))
    assert [(w["precision"], w["clips"]) for w in WRITTEN] == [("float16", None)] * 3


def test_too_few_windows_with_the_same_offset_do_not_pass(
    wanted: ExportSettings, processed: Path
) -> None:
    late = replace(wanted, format="fake-late", clips=(str(processed),), tolerance=100.0)
    late = replace(late, parts=("video",))
    with pytest.raises(CheckFailed, match="of 4 real windows have the same offset, and 99% must"):
        export(late)


def test_accuracy_before_and_after(wanted: ExportSettings, processed: Path) -> None:
    report = export(replace(wanted, dataset=str(processed)))
    rows = {(row.of, row.frames): row for row in report.accuracy}
    assert list(rows) == [("windows", 5), ("windows", 15), ("clips", 0)]
    for row in rows.values():
        assert (row.clips, row.people) == (2, 2), "those that the split kept out of the training"
        assert row.before.mean == row.after.mean > 0.8
        assert (row.change.mean, row.change.low, row.change.high) == (0, 0, 0)
    # Of a part alone PyTorch does the rest.
    half = replace(wanted, dataset=str(processed), parts=("audio",), format="fake-late")
    report = export(replace(half, tolerance=100.0))
    assert report.accuracy[-1].before.mean == 1.0
    assert report.accuracy[-1].after.mean == 0.0
    assert report.accuracy[-1].change.mean == -1.0


# --------------------------------------------------------------------------- windows


def test_real_windows_are_of_other_people_than_the_ranges(processed: Path) -> None:
    found = real_windows([str(processed)], NETWORK, rows=15, count=9, calibration=5)
    assert found.real
    assert (len(found.compared), len(found.calibration)) == (9, 5)
    assert {w.clip.info.key for w in found.compared} == {"clip2", "clip3"}
    assert {w.clip.info.key for w in found.calibration} == {"clip0", "clip1"}
    assert {w.frames for w in found.compared} == set(LENGTHS)
    assert len({w.moved for w in found.compared}) > 3
    many = real_windows([str(processed)], NETWORK, rows=15, count=1000)
    assert len(many.compared) == 16, "no more than one for ten frames"
    (processed / "split.json").unlink()
    mixed = real_windows([str(processed)], NETWORK, rows=15, count=4, calibration=4)
    keys = [{w.clip.info.key for w in ws} for ws in (mixed.compared, mixed.calibration)]
    assert keys[0].isdisjoint(keys[1])


def test_a_window_is_what_the_clip_holds_there(processed: Path) -> None:
    whole = real_windows([str(processed)], NETWORK, rows=15, count=6)
    front = FRONT_ENDS[NETWORK.audio.kind]
    for window in whole.compared:
        info = window.clip.info
        video, audio = window.video(), window.audio()
        assert video.shape == (1, 1, window.frames, 16, 16)
        assert audio.shape == front.shape(window.frames + 30)
        crops = window.clip.crops[window.first : window.first + window.frames]
        np.testing.assert_allclose(video[0, 0], crops / 255, atol=1e-6)
        first, end = window.inside
        begin = info.sound_lead + (window.first - 15 + window.moved + first) * SAMPLES_PER_FRAME
        length = (end - first) * SAMPLES_PER_FRAME
        heard = audio[0, first * SAMPLES_PER_FRAME : end * SAMPLES_PER_FRAME]
        assert 0 <= begin
        assert begin + length <= window.clip.audio.size
        np.testing.assert_allclose(heard, window.clip.audio[begin : begin + length] / 32768)
    assert any(w.inside != (0, w.frames + 30) for w in whole.compared), "clips end"
    assert len(Inputs(whole.compared, "audio")[2]) == 1


def test_the_same_audio_moved_gives_the_moved_offset(processed: Path, weights: Path) -> None:
    model = load_model("scored", weights=weights, device="cpu", runtime="torch")
    way = InSteps(model.runtime)
    for window in real_windows([str(processed)], NETWORK, rows=15, count=8).compared:
        inside = np.zeros((1, window.frames + 30), np.float32)
        inside[:, slice(*window.inside)] = 1
        scores = way.answer(window.video(), window.audio(), inside).scores[0]
        curve = np.where(np.isfinite(scores), scores, np.nan)
        rows = np.nanmean(curve[:, 8:-7] if window.frames > 15 else curve, axis=1)
        assert abs(window.moved) <= SHIFTS
        assert abs(int(np.nanargmax(rows)) - 15 - window.moved) <= (window.frames <= 15) * 3


def test_videos_give_windows_too(tmp_path: Path, wanted: ExportSettings) -> None:
    video_file = flicker.flicker_video(tmp_path / "film.mp4", seconds=3, seed=1)
    told: list[str] = []
    found = real_windows(
        [str(tmp_path / "*.mp4")], NETWORK, rows=15, count=5, detector="whole", on_video=told.append
    )
    assert told == [str(video_file)]
    assert len(found.compared) == 5
    assert found.compared[0].video().shape == (1, 1, 25, 16, 16)
    report = export(replace(wanted, clips=(str(video_file),), detector="whole"))
    assert (report.real, report.passed) == (True, True)


def test_clips_that_are_none(tmp_path: Path, processed: Path) -> None:
    with pytest.raises(MissingError, match="no videos below"):
        real_windows([str(tmp_path / "processed")[:-9]], NETWORK, rows=15, count=2)
    wide = replace(NETWORK, video=replace(NETWORK.video, size_px=32))
    with pytest.raises(UsageError, match="face crops of 16 px"):
        real_windows([str(processed)], wide, rows=15, count=2)
    short = tmp_path / "short"
    short.mkdir()
    write_processed(short, [flicker_sample("s", frames=8)])
    with pytest.raises(MissingError, match="no segment with a face"):
        real_windows([str(short)], NETWORK, rows=15, count=2)


def test_made_up_windows_are_all_different_and_always_the_same() -> None:
    found = made_up_windows(NETWORK, rows=15, count=12)
    assert (found.real, len(found.compared)) == (False, 12)
    assert all(w.inside == (0, w.frames + 30) for w in found.compared)
    again = made_up_windows(NETWORK, rows=15, count=12)
    audio = [w.audio() for w in found.compared]
    assert all(np.array_equal(a, w.audio()) for a, w in zip(audio, again.compared))
    assert len({a.tobytes() for a in audio}) == 12
    assert {w.frames for w in of_length(found.compared, 31)} == {31}
    assert of_length(found.compared, 41) == ()


# --------------------------------------------------------------------------- parity


def test_parity_sees_what_it_should(weights: Path) -> None:
    model = load_model("scored", weights=weights, device="cpu", runtime="torch")
    windows = made_up_windows(NETWORK, rows=15, count=6).compared
    graphs = ("video", "audio", "head")

    class Masked:
        """Hears where there is nothing."""

        def __getattr__(self, name: str) -> object:
            return getattr(model.runtime, name)

        def score(self, *given: object, **named: object) -> np.ndarray:
            return np.nan_to_num(model.runtime.score(*given, **named), neginf=0.0)

    same = compare(model.runtime, InSteps(model.runtime), windows, graphs=graphs)
    assert (same.problems, same.agreement, same.windows) == ((), 1.0, 6)
    assert all(d.maximum == 0 for d in same.differences.values())
    silent = [replace(w, moved=400) for w in windows]
    heard = compare(model.runtime, InSteps(Masked()), silent, graphs=graphs)
    assert any("where there is no audio" in problem for problem in heard.problems)
    nothing = compare(model.runtime, InSteps(model.runtime), silent, graphs=graphs)
    assert (nothing.problems, nothing.agreement) == ((), None)
    failing = compare(model.runtime, AtOnce(lambda *given: []), windows, graphs=("model",))
    assert "it fails on a window (25 frames, batch 1): ValueError" in failing.problems[0]
