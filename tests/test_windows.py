"""Training windows: the label is where the sound is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fake_samples import talking_sample
from synctool.data.augment import Strength, augment_mouth, augment_sound
from synctool.data.windows import WindowSettings, WindowStream, stretch
from synctool.errors import UsageError
from synctool.types import SAMPLES_PER_FRAME

SETTINGS = WindowSettings(frames=24, batch=8, max_offset=15, margin=5, size_px=72, strength=0.0)


def stream(settings: WindowSettings = SETTINGS, late: int = 0, **more: object) -> WindowStream:
    samples = [talking_sample(f"k{i}", seed=i, frames=120, late_frames=late) for i in range(6)]
    defaults = {"constants": None, "people": [s.info.key for s in samples], "seed": 1}
    return WindowStream(samples, settings, **{**defaults, **more})


def measured_offset(batch, i: int) -> int:
    """Offset by correlating how dark (open) the mouth is with how loud the sound is."""
    opened = -batch.video[i, 0].float().mean((1, 2)).numpy()
    loud = batch.audio[i, 0].mean(0).numpy()
    loud = loud[: len(loud) // 4 * 4].reshape(-1, 4).mean(1)
    scores = []
    for n in range(-15, 16):
        at = batch.audio_lead + np.arange(len(opened)) - n
        if at.min() < 0 or at.max() >= len(loud):
            scores.append(-1.0)
            continue
        scores.append(np.corrcoef(opened, loud[at])[0, 1])
    return int(np.argmax(scores)) - 15


def test_the_label_is_the_offset() -> None:
    errors = []
    for step in range(6):
        batch = stream().batch(step)
        if batch.video.shape[2] < 15:
            continue
        for i in range(len(batch.video)):
            errors.append(abs(measured_offset(batch, i) - float(batch.offset_frames[i])))
    assert len(errors) >= 24
    assert np.median(errors) <= 0.6  # the move has fractions, the measurement has not
    assert np.mean(np.array(errors) <= 1.1) > 0.8


def test_a_constant_is_added_to_the_label() -> None:
    plain, corrected = stream(), stream(constants=[-2.0] * 6)
    assert np.abs(corrected.batch(0).offset_frames.numpy()).max() <= 15
    batch = stream(late=2, constants=[-2.0] * 6).batch(3)
    errors = [measured_offset(batch, i) - float(batch.offset_frames[i]) for i in range(8)]
    assert abs(np.median(errors)) <= 0.6
    assert plain.batch(0).video.shape == corrected.batch(0).video.shape


def test_listed_offsets_are_kept_to() -> None:
    listed = [[0, -7], [3], [15], [0], [-15, 1], [2]]
    made = stream(offsets=listed)
    errors, seen = [], set()
    for step in range(6):
        batch = made.batch(step)
        seen |= set(batch.offset_frames.tolist())
        if batch.video.shape[2] >= 15:
            errors += [
                abs(measured_offset(batch, i) - float(batch.offset_frames[i])) for i in range(8)
            ]
    assert {n for row in listed for n in row} == seen
    assert np.median(errors) == 0
    again = stream(offsets=listed).batch(5)
    assert (again.audio == made.batch(5).audio).all()
    late = stream(late=2, constants=[-2.0] * 6, offsets=[[4]] * 6).batch(0)
    assert set(late.offset_frames.tolist()) == {2.0}


def test_windows_longer_than_every_clip_are_refused() -> None:
    with pytest.raises(UsageError, match="has the 121 frames"):
        stream(replace(SETTINGS, frames=121))


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    first, again, other = stream().batch(5), stream().batch(5), stream(seed=2).batch(5)
    assert (first.video == again.video).all() and (first.audio == again.audio).all()
    assert first.offset_frames.tolist() != other.offset_frames.tolist()
    resumed = stream()
    resumed.start_at(5)
    assert (next(iter(resumed)).audio == first.audio).all()


def test_sound_beyond_a_clip_comes_from_another() -> None:
    rng = np.random.default_rng(0)
    sound, filler = np.full(1000, 7000, np.int16), np.full(300, -3000, np.int16)
    made = stretch(sound, -500, 2000, filler, rng)
    assert (made[:500] == -3000).all() and (made[1500:] == -3000).all()
    assert (made[600:1400] == 7000).all()
    assert np.array_equal(stretch(sound, 100, 800, filler, rng), sound[100:900])


@pytest.mark.parametrize("seed", range(6))
def test_degraded_windows_keep_shape_and_place_in_time(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sample = talking_sample("a", seed=seed, frames=60)
    seen = augment_mouth(sample.crops, 72, rng, Strength(1.0))
    assert seen.shape == (60, 72, 72) and seen.dtype == np.uint8
    sound = sample.sound.astype(np.float32) / 32768
    heard = augment_sound(sound, [sound[::-1].copy()], rng, Strength(0.7))
    assert heard.shape == sound.shape and np.isfinite(heard).all()

    def loudness(x: np.ndarray) -> np.ndarray:
        return np.log((x.reshape(60, SAMPLES_PER_FRAME) ** 2).mean(1) + 1e-7)

    before, after = loudness(sound), loudness(heard)
    scores = [np.corrcoef(before[8:52], after[8 + n : 52 + n])[0, 1] for n in range(-8, 9)]
    assert abs(int(np.argmax(scores)) - 8) <= 1
