"""Adapting without labels: relative labels, the figures, what is accepted, and folders that teach nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import flicker
from fake_samples import write_processed
from flicker_models import grey
from synctool.adapting.adapted_model import ADAPTED
from synctool.adapting.blending import PRIOR_EXAMPLES, blended
from synctool.adapting.domain import DomainClip, domain_clips
from synctool.adapting.gains import Answers, accept, answers, belonging, figures, zero_change
from synctool.adapting.measured_segments import WHOLE, MeasuredSegments, measure_segments
from synctool.adapting.normalization import NoStatistics, with_statistics_of
from synctool.adapting.relative_labels import agreement, labels, references
from synctool.adapting.run import Amounts, adapt
from synctool.adapting.work_folder import WorkFolder
from synctool.cli.app import main
from synctool.data.samples import Sample, SampleInfo
from synctool.errors import EXIT_INCONCLUSIVE, EXIT_USAGE, InconclusiveError, UsageError
from synctool.evaluation.bootstrap import Interval
from synctool.networks.build import build
from synctool.networks.load import load_model
from synctool.plugins.specs import ModelSpec
from synctool.report.adaptation import finding
from synctool.scoring.confidence import UNCALIBRATED, Belonging, Calibration
from synctool.settings.adapt import AdaptSettings
from synctool.types import SAMPLES_PER_FRAME

CAUTIOUS = Calibration(intercept=-20.0, log1p_t_stat=0.01, log_frames=4.6)
"""Answers nothing of less than three seconds."""


def flickering(key: str, *, ahead: int = 0, seed: int | None = None, frames: int = 100) -> Sample:
    """A face whose brightness, and audio whose loudness, follow a pattern; ``ahead`` frames apart, or the
    audio's own where it has a seed."""
    own = flicker.pattern(sum(map(ord, key)))
    heard = own if seed is None else flicker.pattern(seed)
    light = np.array([own((t + 0.5) / 25) for t in range(frames)])
    crops = np.broadcast_to((110 + 30 * light)[:, None, None], (frames, 16, 16)).astype(np.uint8)
    loud = np.array([heard((t + ahead + 0.5) / 25) for t in range(frames)])
    noise = np.random.default_rng(len(key)).normal(0, 1, frames * SAMPLES_PER_FRAME)
    audio = (noise * np.repeat(200 + 6000 * loud, SAMPLES_PER_FRAME)).astype(np.int16)
    info = SampleInfo(
        key=key, video_path=f"{key}.mp4", speaker="", source="made", split="", track=0, first_tick=0,
        num_frames=frames, sound_lead=0, crop="face", size_px=16,
    )  # fmt: skip
    return Sample(info, crops, np.zeros((64, 64), np.uint8), audio)


def clip(sample: Sample, *, group: str | None = None) -> DomainClip:
    key = sample.info.key
    return DomainClip(sample, key, key if group is None else group, "test")  # type: ignore[arg-type]


def measured(samples: list[Sample]) -> MeasuredSegments:
    return measure_segments(grey(), samples, [s.info.key for s in samples], seed=0)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def own() -> tuple[list[DomainClip], MeasuredSegments]:
    samples = [flickering(f"clip-{i}", ahead=i % 3) for i in range(6)]
    return [clip(s) for s in samples], measured(samples)


def test_segments_answer_what_their_audio_was_moved_by(own) -> None:
    clips, found = own
    right = agreement(found, references(found, clips, UNCALIBRATED))
    segments = (found.length_s != WHOLE) & ~np.isnan(right)
    assert np.abs(found.moved[segments & ~found.foreign]).max() > 3
    assert right[segments & ~found.foreign].mean() == 1
    assert right[segments & found.foreign].mean() < 0.5


def test_a_segment_is_not_its_own_witness(own) -> None:
    """A segment of which little is left of the clip has no reference, however sure its clip is."""
    _, found = own
    assert set(found.length_s.tolist()) == {0, 1, 2, 3}
    assert np.isnan(found.rest[found.length_s == 3]).all()
    assert not np.isnan(found.rest[(found.length_s == 1) & ~found.foreign]).any()


def test_clips_that_share_an_offset_are_witnesses_of_each_other() -> None:
    samples = [flickering(f"shared-{i}", ahead=2) for i in range(5)]
    found = measured(samples)
    reference = references(found, [clip(s, group="all") for s in samples], UNCALIBRATED)
    own = (found.length_s == 3) & ~found.foreign
    assert own.any()
    assert reference[own] == pytest.approx(2, abs=0.3)


def test_labels_are_the_sure_answers_only() -> None:
    samples = [flickering(f"label-{i}", ahead=i % 3) for i in range(4)]
    samples += [flickering(f"dubbed-{i}", seed=900 + i) for i in range(4)]
    clips = [clip(s) for s in samples]
    found = labels(measured(samples), clips, UNCALIBRATED)
    assert found.keys() >= {f"label-{i}" for i in range(4)}
    assert all(found[f"label-{i}"] == pytest.approx(i % 3, abs=0.3) for i in range(4))
    assert sum(name.startswith("dubbed") for name in found) <= 1


def test_audio_of_others_is_told_from_own(own) -> None:
    clips, found = own
    told = belonging(answers(found, references(found, clips, UNCALIBRATED), UNCALIBRATED), clips)
    assert told.low > 0.4
    samples = [flickering(f"dubbed-{i}", seed=700 + i) for i in range(6)]
    dubbed, clips = measured(samples), [clip(s) for s in samples]
    reference = references(dubbed, clips, UNCALIBRATED)
    assert belonging(answers(dubbed, reference, UNCALIBRATED), clips).low < 0.1


def test_the_same_segments_are_measured_again(tmp_path: Path) -> None:
    samples = [flickering(f"again-{i}", frames=50) for i in range(2)]
    found, again = measured(samples), measured(samples)
    found.save(tmp_path / "a.npz")
    stored = MeasuredSegments.load(tmp_path / "a.npz")
    for other in (again, stored):
        assert np.array_equal(found.offset, other.offset, equal_nan=True)
        assert np.array_equal(found.moved, other.moved)


# --------------------------------------------------------------------------- figures


def made_answers(answered: list[bool], right: list[float]) -> Answers:
    """Four segments of four clips with their own audio, and one with another's of each."""
    count = 8
    rows = {
        name: np.zeros(count)
        for name in ("moved", "rest", "halves", "offset", "margin", "t_stat", "level")
    }
    found = MeasuredSegments(
        clip=np.array([0, 1, 2, 3] * 2), length_s=np.ones(count, int),
        foreign=np.array([False] * 4 + [True] * 4), row=np.zeros(count, int),
        frames=np.full(count, 25), at_edge=np.zeros(count, bool), curve=np.zeros((count, 31)), **rows,
    )  # fmt: skip
    return Answers(found, np.array([*right, *[0.0] * 4]), np.array(answered), np.zeros(count, bool))


def test_figures_are_those_computed_by_hand() -> None:
    clips = [clip(flickering(f"c{i}", frames=5)) for i in range(4)]
    before = made_answers([True, True, False, False, True, False, False, False], [1, 0, 1, 0])
    after = made_answers([True, True, True, False, False, False, False, False], [1, 1, 1, 0])
    rows = {(f.name, f.length_s): f for f in figures(before, after, clips, set_name="domain")}
    values = {
        name: (rows[name, 0].before.value, rows[name, 0].after.value, rows[name, 0].change.value)
        for name in ("right", "answered", "wrong", "foreign", "useful")
    }
    assert values == {
        "right": (0.5, 0.75, 0.25),
        "answered": (0.5, 0.75, 0.25),
        "wrong": (0.25, 0.0, -0.25),
        "foreign": (0.25, 0.0, -0.25),
        "useful": (0.25 - 0.25 - 0.25, 0.75, 1.0),
    }
    assert rows["right", 2].before.count == 0


@pytest.mark.parametrize(
    ("gain", "domain", "general", "zero", "accepted"),
    [
        ((0.1, 0.02), 0.0, 0.0, 0.0, True),
        ((0.1, -0.01), 0.0, 0.0, 0.0, False),
        ((0.1, 0.02), -0.02, 0.0, 0.0, False),
        ((0.1, 0.02), 0.0, -0.02, 0.0, False),
        ((0.1, 0.02), 0.0, -0.01, 0.0, True),
        ((0.1, 0.02), 0.0, 0.0, 1.0, False),
    ],
)
def test_what_is_accepted(gain, domain, general, zero, accepted) -> None:
    """A sure gain in the domain, no more lost than the margin, and a zero that stays."""
    clips = [clip(flickering(f"c{i}", frames=5)) for i in range(4)]
    same = made_answers([True] * 4 + [False] * 4, [1, 1, 1, 1])
    rows = {
        (s, f.name): f
        for s in ("domain", "general")
        for f in figures(same, same, clips, set_name=s)
        if f.length_s == 0
    }
    rows["domain", "right"] = replace(rows["domain", "right"], change=Interval(domain))
    rows["general", "useful"] = replace(rows["general", "useful"], change=Interval(general))
    found = accept(Interval(gain[0], gain[1], 0.2), rows, {"domain": zero}, margin=0.01)
    assert found.accepted is accepted
    assert found.reason


def test_a_moved_zero_is_seen(own) -> None:
    clips, found = own
    before = answers(found, references(found, clips, UNCALIBRATED), UNCALIBRATED)
    moved = replace(found, offset=found.offset + 2)
    after = answers(moved, references(moved, clips, UNCALIBRATED), UNCALIBRATED)
    assert zero_change(before, after) == pytest.approx(2)


def test_a_calibration_of_few_examples_counts_little() -> None:
    """Log-odds lie between those of both, by the number of examples."""
    belonging_of_few = Belonging(2.0, 0.0, 0.0, 0.0, 0.0, least=1.0)
    before = Calibration(-4.0, 2.0, temperature=2.0, belonging=replace(belonging_of_few, least=3.0))
    few = Calibration(6.0, 1.0, belonging=belonging_of_few)
    made = blended(before, few, examples=PRIOR_EXAMPLES)
    assert (made.intercept, made.log1p_t_stat, made.temperature) == (2.0, 1.0, 1.0)
    assert made.belonging is not None
    assert (made.belonging.intercept, made.belonging.least) == (1.5, 1.25)
    assert blended(before, few, examples=0).intercept == -2.0
    assert blended(replace(before, belonging=None), few, examples=5).belonging == belonging_of_few


# --------------------------------------------------------------------------- statistics


def test_statistics_of_normalisation_move_towards_the_domain(own) -> None:
    torch.manual_seed(0)
    spec, network = build("fcn-cls", width=4, embedding=8)
    network.eval()
    samples = [replace_crop(flickering(f"bn-{i}")) for i in range(4)]
    before = {k: v.clone() for k, v in network.state_dict().items()}
    found = with_statistics_of(network, [clip(s) for s in samples], spec, batches=1, seed=0)
    changed = {k for k, v in before.items() if not torch.equal(v, found[k])}
    assert changed
    assert {name.rpartition(".")[2] for name in changed} <= {"running_mean", "running_var"}
    assert all(torch.equal(v, network.state_dict()[k]) for k, v in before.items())
    assert not network.training
    again = with_statistics_of(network, [clip(s) for s in samples], spec, batches=1, seed=0)
    assert all(torch.equal(found[k], again[k]) for k in found)


def replace_crop(sample: Sample) -> Sample:
    """The same as a mouth of 96 px."""
    crops = np.broadcast_to(sample.crops[:, :1, :1], (len(sample.crops), 96, 96)).copy()
    return replace(sample, crops=crops, info=replace(sample.info, crop="mouth", size_px=96))


def test_a_network_without_statistics_says_so(own) -> None:
    clips, _ = own
    model = grey()
    with pytest.raises(NoStatistics):
        with_statistics_of(model.network, clips, ModelSpec.of(flicker.SPEC), batches=1, seed=0)


# --------------------------------------------------------------------------- the whole


@pytest.fixture
def plugin() -> Iterator[None]:
    with flicker.installed():
        yield


def folder_of(place: Path, samples: list[Sample]) -> Path:
    write_processed(place, samples)
    return place


def general(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "general", [flickering(f"general-{i}") for i in range(6)])


def settings(tmp_path: Path, **changes: object) -> AdaptSettings:
    header = json.dumps(CAUTIOUS.to_dict())
    weights = flicker.save_weights(tmp_path / "before.safetensors", calibration=header)
    usual = {
        "backbone": flicker.NAME, "weights": weights, "minutes": 1.0, "general": general(tmp_path),
        "stages": "calibration", "device": "cpu",
    }  # fmt: skip
    return AdaptSettings(**{**usual, **changes})  # type: ignore[arg-type]


@pytest.mark.integration
def test_a_calibration_that_helps_is_written(plugin: None, tmp_path: Path) -> None:
    videos = folder_of(tmp_path / "videos", [flickering(f"v{i}", ahead=1) for i in range(20)])
    out = tmp_path / "after.safetensors"
    steps: set[str] = set()
    found = adapt(videos, out, settings(tmp_path), on_progress=lambda p: steps.add(p.step))
    assert found.refused is None, finding(found)
    assert [stage.name for stage in found.accepted] == ["calibration"]
    model = load_model(flicker.NAME, weights=out, device="cpu", runtime="torch")
    assert model.calibration != CAUTIOUS
    from synctool.weights.files import load_weights

    provenance = json.loads(load_weights(out).metadata[ADAPTED])
    assert provenance["stages"] == ["calibration"]
    assert provenance["weights"].startswith("before sha256:")
    assert len(steps) >= 3
    assert not Path(f"{out}.work").exists()
    assert found.shown is not None
    gain = found.shown.figure("domain", "useful")
    assert gain is not None and gain.change.low > 0


@pytest.mark.integration
def test_a_stopped_run_goes_on_to_the_same_result(plugin: None, tmp_path: Path) -> None:
    videos = folder_of(tmp_path / "videos", [flickering(f"v{i}", frames=80) for i in range(10)])
    chosen = settings(tmp_path)
    whole = adapt(videos, tmp_path / "a.safetensors", chosen).to_dict()

    def stop(progress: object) -> None:
        if "general" in getattr(progress, "step", ""):
            raise KeyboardInterrupt

    out = tmp_path / "b.safetensors"
    with pytest.raises(KeyboardInterrupt):
        adapt(videos, out, chosen, on_progress=stop)
    work = Path(f"{out}.work")
    assert (work / "measured-before-learn.npz").is_file()
    with pytest.raises(UsageError, match="another seed"):
        adapt(videos, out, chosen, seed=3)
    again = adapt(videos, out, chosen).to_dict()
    assert {**again, "output": None} == {**whole, "output": None}
    assert not work.exists()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([flickering(f"d{i}", seed=800 + i, frames=60) for i in range(20)], "hardly better"),
        ([flickering(f"s{i}", frames=30) for i in range(30)], "twice as long"),
    ],
)
def test_a_folder_that_teaches_nothing_is_refused(
    plugin: None, tmp_path: Path, samples: list[Sample], words: str
) -> None:
    """Other people's audio; clips too short to be their own witness."""
    out = tmp_path / "after.safetensors"
    found = adapt(folder_of(tmp_path / "videos", samples), out, settings(tmp_path))
    assert found.refused is not None and words in found.refused
    assert found.stages == []
    assert not out.exists()


@pytest.mark.integration
def test_a_part_with_other_audio_is_not_learned_from(plugin: None, tmp_path: Path) -> None:
    samples = [flickering(f"v{i}") for i in range(10)]
    samples += [flickering(f"d{i}", seed=600 + i) for i in range(10)]
    found = adapt(
        folder_of(tmp_path / "videos", samples), tmp_path / "a.safetensors", settings(tmp_path)
    )
    assert 0.3 <= found.labelled <= 0.65


@pytest.mark.integration
def test_nothing_helps_a_model_that_knows(plugin: None, tmp_path: Path, capsys) -> None:
    videos = folder_of(tmp_path / "videos", [flickering(f"v{i}") for i in range(16)])
    known = flicker.save_weights(
        tmp_path / "known.safetensors", calibration=json.dumps(UNCALIBRATED.to_dict())
    )
    out, page, data = (tmp_path / name for name in ("a.safetensors", "a.html", "a.json"))
    words = ["adapt", videos, "-o", out, "-b", flicker.NAME, "--weights", known, "--html", page]
    words += ["--general", general(tmp_path), "--json", data, "--minutes", "1"]
    words += ["--stages", "normalization"]
    assert main([str(word) for word in words]) == EXIT_INCONCLUSIVE
    assert "not adapted" in capsys.readouterr().out
    stages = {stage["name"]: stage for stage in json.loads(data.read_text())["stages"]}
    assert stages["normalization"]["reason"] == "flicker has no batch normalisation"
    assert "not adapted" in page.read_text()
    assert not out.exists()


def test_work_that_was_killed_at_its_beginning_goes_on(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / ".synctool-0123456789ab.part.json").touch()
    WorkFolder(work, {"seed": 1})
    (work / "adapt.json").unlink()
    (work / "notes.txt").touch()
    with pytest.raises(UsageError, match="holds something else"):
        WorkFolder(work, {"seed": 1})


def test_few_videos_are_refused(tmp_path: Path) -> None:
    place = folder_of(tmp_path / "one", [flickering("only", frames=400)])
    with pytest.raises(InconclusiveError, match="in 1 of the videos"):
        domain_clips(place, AdaptSettings())


def test_nobody_is_in_two_parts(tmp_path: Path) -> None:
    samples = []
    for i in range(24):
        made = flickering(f"p{i % 8}/{i}", frames=60)
        samples.append(replace(made, info=replace(made.info, speaker=f"p{i % 8}")))
    clips = domain_clips(folder_of(tmp_path / "people", samples), AdaptSettings())
    parts: dict[str, set[str]] = {}
    for found in clips:
        parts.setdefault(found.unit, set()).add(found.part)
    assert len(parts) == 8
    assert all(len(where) == 1 for where in parts.values())
    assert {"learn", "test"} <= {found.part for found in clips}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--stages", "colour"], EXIT_USAGE, "no stage 'colour'"),
        (["-o", "folder"], EXIT_USAGE, "is no name of a weight file"),
    ],
)
def test_what_cannot_be_adapted_is_said(tmp_path: Path, capsys, words, code, said) -> None:
    (tmp_path / "videos").mkdir()
    given = ["adapt", str(tmp_path / "videos"), *words]
    if "-o" not in words:
        given += ["-o", str(tmp_path / "a.safetensors")]
    assert main(given) == code
    assert said in capsys.readouterr().err


def test_a_refused_folder_leaves_nothing_behind(plugin: None, tmp_path: Path) -> None:
    place = folder_of(tmp_path / "one", [flickering("only", frames=50)])
    out = tmp_path / "a.safetensors"
    with pytest.raises(InconclusiveError):
        adapt(place, out, settings(tmp_path))
    assert not out.exists() and not Path(f"{out}.work").exists()


def test_the_amounts_follow_from_the_minutes_alone() -> None:
    assert Amounts.of(10) == Amounts.of(10.0)
    assert Amounts.of(20).steps == 2 * Amounts.of(10).steps


def test_an_exported_model_gets_another_calibration(tmp_path: Path) -> None:
    from synctool.adapting.adapted_model import exported_model, write_exported
    from synctool.weights.artefact import read_artefact

    artefact, out = exported_model("fcn-cls", None), tmp_path / "adapted"
    write_exported(artefact, out, CAUTIOUS, {"seed": 1})
    assert read_artefact(out).checks[ADAPTED] == {"seed": 1}
    model = load_model("fcn-cls", weights=out, device="cpu")
    assert model.calibration == CAUTIOUS
