"""Speech units: found by k-means, kept in a file, and learned beside the offset."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import nn

from fake_evidence import evidence, talking_batch, tiny_model
from fake_samples import talking_sample, write_processed
from synctool.cli.app import main
from synctool.data.samples import Sample
from synctool.data.unit_targets import read_units, write_units
from synctool.errors import EXIT_USAGE, MissingError, SyncToolError, UsageError
from synctool.prepare.kmeans import kmeans, nearest_centres
from synctool.prepare.pairs import pairs
from synctool.prepare.speech_units import mfcc_with_changes, speech_units
from synctool.settings.pairs import PairsSettings
from synctool.settings.train import TrainSettings
from synctool.training import run as train_run
from synctool.training.config import mixture
from synctool.training.losses.objective import SyncObjective
from synctool.training.losses.speech_units import SpeechUnits
from synctool.training.train import train
from synctool.types import AUDIO_HZ, SAMPLES_PER_FRAME

FRAMES = 40
TURN = 10
"""Frames from one tone to the other."""


def toned(key: str, seed: int) -> Sample:
    """A clip whose audio is one of two tones, in turns; 25 frames of another stand before it."""
    sample = talking_sample(key, seed=seed, frames=FRAMES, speaker=key)
    lead = 25 * SAMPLES_PER_FRAME
    t = np.arange(lead + FRAMES * SAMPLES_PER_FRAME) / AUDIO_HZ
    high = (np.arange(t.size) - lead) // (TURN * SAMPLES_PER_FRAME) % 2 == 1
    audio = 6000 * np.sin(2 * np.pi * np.where(high, 3000, 300) * t)
    return replace(sample, info=replace(sample.info, sound_lead=lead), audio=audio.astype(np.int16))


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "processed"
    write_processed(folder, [toned(f"k{i}", i) for i in range(6)])
    pairs(folder, settings=PairsSettings(val_fraction=0.34, test_fraction=0.0))
    return folder


def test_k_means_finds_what_lies_together() -> None:
    rng = np.random.default_rng(0)
    middles = np.array([[0, 0], [10, 0], [0, 10], [10, 10]], np.float32)
    rows = (middles[:, None] + rng.normal(0, 0.3, (4, 50, 2))).reshape(-1, 2)
    centres = kmeans(rows, 4, rounds=20, rng=rng)
    labels, distances = nearest_centres(rows, centres)
    assert sorted(np.bincount(labels)) == [50] * 4
    assert all(len(set(part)) == 1 for part in labels.reshape(4, 50))
    order = labels.reshape(4, 50)[:, 0]
    assert np.allclose(centres[order], rows.reshape(4, 50, 2).mean(1), atol=1e-4)
    assert np.allclose(distances, ((rows - centres[labels]) ** 2).sum(1), atol=1e-3)


def test_k_means_of_fewer_different_rows_than_centres_is_finite() -> None:
    rows = np.repeat(np.eye(2, dtype=np.float32), 20, 0)
    centres = kmeans(rows, 5, rounds=5, rng=np.random.default_rng(0))
    assert np.isfinite(centres).all()
    assert np.allclose(nearest_centres(rows, centres)[1], 0, atol=1e-6)


def test_mfccs_have_their_differences() -> None:
    silence = mfcc_with_changes(np.zeros(8 * SAMPLES_PER_FRAME + 240, np.int16))
    assert silence.shape == (8, 39)
    assert np.allclose(silence[:, 13:], 0) and np.allclose(silence[0], silence[7])
    louder = (np.linspace(0, 1, 8 * SAMPLES_PER_FRAME + 240) ** 2 * 9000).astype(np.int16)
    assert (mfcc_with_changes(louder)[2:6, 13] > 0).all(), "the energy grows"


def test_units_are_of_the_frames_of_a_clip(processed: Path, tmp_path: Path) -> None:
    out = tmp_path / "units.safetensors"
    told: list[str] = []
    found = speech_units(processed, out, units=3, on_progress=lambda what, *_: told.append(what))
    labels, count = read_units(out)
    assert count == 3 and set(labels) == {f"k{i}" for i in range(6)}
    first = labels["k0"]
    turns = np.arange(FRAMES) // TURN % 2 == 1
    inner = np.minimum(np.arange(FRAMES) % TURN, TURN - 1 - np.arange(FRAMES) % TURN) >= 2
    assert len(set(first[inner & turns])) == len(set(first[inner & ~turns])) == 1
    assert first[TURN - 3] != first[TURN + 2]
    assert all(np.array_equal(first, other) for other in labels.values())
    assert (found.used, found.clips, found.frames) == (3, 6, 6 * FRAMES)
    assert 1.5 < found.perplexity <= 3 and 1.5 <= found.changes_per_s < 6
    assert found.fitted_frames < found.frames, "held-out people do not take part"
    assert set(told) == {"reading clips", "finding units", "naming frames"}
    again = tmp_path / "again.safetensors"
    speech_units(processed, again, units=3)
    assert all(np.array_equal(x, labels[key]) for key, x in read_units(again)[0].items())


def test_units_of_what_a_model_makes_of_the_audio(processed: Path, tmp_path: Path) -> None:
    out = tmp_path / "units.safetensors"
    found = speech_units(processed, out, units=3, features="fcn-cls", iterations=3)
    labels, _ = read_units(out)
    assert found.features == "fcn-cls" and found.used == 3
    assert all(len(x) == FRAMES for x in labels.values())
    assert labels["k0"][3] != labels["k0"][TURN + 3]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"units": 100}, "are too few to find 100 units in"),
        ({"features": "resnet3d"}, "is a video encoder"),
        ({"features": "vggish", "weights": "x.safetensors"}, "takes its published weights"),
        ({"features": "no-such-thing"}, "no-such-thing"),
    ],
)
def test_units_that_cannot_be_found(
    processed: Path, tmp_path: Path, given: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        speech_units(processed, tmp_path / "u.safetensors", **given)
    assert not list(tmp_path.iterdir())


def test_the_command(processed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "u.safetensors"
    assert main(["units", str(processed), "-o", str(out), "-n", "2", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["used"] == 2
    assert main(["units", str(processed), "-o", str(out), "-n", "2"]) == 0
    assert "2 of 2 units in 240 frames of 6 clips" in capsys.readouterr().out
    assert main(["units", str(processed), "-o", str(out), "-n", "200"]) == EXIT_USAGE


@pytest.mark.parametrize(
    "tensors",
    [
        {"a": np.zeros(4, "f4")},
        {"a": np.zeros((4, 2), "i2")},
        {"a": np.array([0, 3], "i2")},
        {"a": np.array([0, -1], "i2")},
    ],
)
def test_files_that_hold_no_units(tmp_path: Path, tensors: dict[str, np.ndarray]) -> None:
    save_file(tensors, tmp_path / "u.safetensors", {"units": "3"})
    with pytest.raises(SyncToolError, match="holds no speech units"):
        read_units(tmp_path / "u.safetensors")
    save_file({"a": np.zeros(2, "i2")}, tmp_path / "u.safetensors")
    with pytest.raises(SyncToolError, match="holds no speech units"):
        read_units(tmp_path / "u.safetensors")
    with pytest.raises(MissingError, match="no such file"):
        read_units(tmp_path / "none")


# ----------------------------------------------------------------------------------- the loss


def test_the_loss_by_hand() -> None:
    """Logits are the embeddings: of frame t the video's, and the audio's that belongs there."""
    video = torch.eye(3)[None, :, [0, 1]]
    audio = torch.eye(3)[None, :, [2, 0, 1, 2]]  # the audio of frame t is at 2 + t - 1
    seen = evidence(
        torch.zeros(1, 3, 2),
        [1.0],
        video_features=video,
        audio_features=audio,
        audio_lead=2,
        units=torch.tensor([[0, -1]]),
    )
    loss = SpeechUnits(units=3, embedding=3)
    for layer in loss.layers.values():
        layer.weight.data.copy_(torch.eye(3)[:, :, None] / 8)
        nn.init.zeros_(layer.bias)
    right = math.log(math.e + 2) - 1
    assert loss(seen).item() == pytest.approx(right)
    assert loss(replace(seen, audio_lead=1)).item() == pytest.approx(right + 0.5)
    lips = SpeechUnits(side="video", units=3, embedding=3)
    assert set(lips.layers) == {"video"}
    beyond = replace(seen, audio_lead=100)  # there is no audio
    loss(beyond).backward()
    assert loss(beyond).item() == pytest.approx(right / 2)
    assert loss(replace(seen, units=torch.tensor([[-1, -1]]))).item() == 0.0


def test_the_loss_trains_both_encoders_and_falls() -> None:
    batch = talking_batch(0)
    batch = replace(batch, units=(batch.video[:, 0, :, 0, 0] > 128).long())  # and so it sounds
    torch.manual_seed(0)
    model = tiny_model()
    terms = mixture(TrainSettings(losses=("speech-units",)), units=2, embedding=8)
    objective = SyncObjective(terms=terms, max_offset=3)
    optimizer = torch.optim.Adam([*model.parameters(), *objective.parameters()], lr=0.03)
    values = []
    for _ in range(40):
        loss, parts = objective(model, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(parts["speech-units"])
    assert all(p.grad.abs().sum() > 0 for p in model.video_encoder.parameters())
    assert all(p.grad.abs().sum() > 0 for p in model.audio_encoder.parameters())
    assert abs(values[0] - math.log(2)) < 0.8 and values[-1] < 0.5 * math.log(2)


def test_what_does_not_fit_is_told() -> None:
    seen = evidence(torch.zeros(1, 3, 2), [0.0], video_features=torch.ones(1, 4, 2))
    with pytest.raises(UsageError, match="needs units"):
        SpeechUnits(units=3, embedding=4)(seen)
    seen = replace(seen, units=torch.tensor([[0, 5]]), audio_features=torch.ones(1, 4, 2))
    for sizes in ({"units": 3, "embedding": 4}, {"units": 9, "embedding": 2}):
        with pytest.raises(UsageError, match="and here are 4"):
            SpeechUnits(**sizes)(seen)
    with pytest.raises(UsageError, match="side"):
        SpeechUnits(side="neither")


def test_the_mixture_takes_sizes_from_the_units() -> None:
    *usual, term = mixture(TrainSettings(), units=7, embedding=16)
    assert len(usual) == len(mixture(TrainSettings()))
    assert term.name == "speech-units" and term.options == {"units": 7, "embedding": 16}
    given = TrainSettings(losses=("cross-entropy", "speech-units=0.3,side=video"))
    term = mixture(given, units=7, embedding=16)[1]
    assert term.weight == 0.3
    assert term.options == {"units": 7, "embedding": 16, "side": "video"}


@pytest.mark.integration
def test_a_run_learns_units_moved_by_the_constants(processed: Path, tmp_path: Path) -> None:
    labels = {f"k{i}": np.arange(FRAMES, dtype=np.int16) for i in range(6)}
    file, constants = tmp_path / "units.safetensors", tmp_path / "constants.json"
    write_units(file, labels, count=FRAMES, facts={}, centres={})
    constants.write_text(json.dumps({"made": 2.0}))
    settings = TrainSettings(
        data=processed, out=tmp_path / "run", units=file, constants=constants, epochs=1,
        steps_per_epoch=1, batch_size=3, window_frames=12, device="cpu", workers=0, augment=0.0,
    )  # fmt: skip
    run = train_run.TrainRun(settings)
    shifted = run._units()[0]
    assert shifted[:2].tolist() == [-1, -1] and shifted[2:5].tolist() == [0, 1, 2]
    batch = run.stream().batch(0)
    for row in batch.units:
        known = row[row >= 0]
        assert (known.diff() == 1).all() and len(known) >= 5
    seen: list[dict[str, float]] = []
    train(settings=settings, on_progress=lambda p: seen.append(p.parts))
    assert abs(seen[0]["speech-units"] - math.log(FRAMES)) < 1
    save_file({"another": np.zeros(4, "i2")}, file, {"units": "3"})
    with pytest.raises(UsageError, match="of other clips"):
        train_run.TrainRun(replace(settings, out=tmp_path / "new"))


def test_the_same_units_are_the_same_file(tmp_path: Path) -> None:
    """The library's own order of the header's strings changes from call to call."""
    facts = {name: name for name in "hgfedcba"}
    names = [tmp_path / f"{number}.safetensors" for number in range(4)]
    for name in names:
        write_units(name, {"a": np.arange(5, dtype="i2")}, count=5, facts=facts, centres={})
    assert len({name.read_bytes() for name in names}) == 1
    assert read_units(names[0])[0]["a"].tolist() == [0, 1, 2, 3, 4]
