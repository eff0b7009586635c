"""Training windows: the label is where the audio is."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from fake_samples import talking_sample
from synctool.data.augment import AugmentSettings, Dose
from synctool.data.samples import Sample
from synctool.data.window_plan import Planner
from synctool.data.windows import STAGES, WindowBatch, WindowSettings, WindowStream, audio_segment
from synctool.errors import UsageError
from synctool.plugins.specs import AudioInput, VideoInput

MOUTH = VideoInput(crop="mouth", size_px=72, colour="gray")
SETTINGS = WindowSettings(
    frames=24,
    batch=8,
    max_offset=15,
    margin=5,
    video=MOUTH,
    audio=AudioInput(kind="logmel64"),
    strength=0.0,
)


def stream(settings: WindowSettings = SETTINGS, late: int = 0, **more: object) -> WindowStream:
    samples = [talking_sample(f"k{i}", seed=i, frames=120, late_frames=late) for i in range(6)]
    defaults = {"constants": None, "people": [s.info.key for s in samples], "seed": 1}
    return WindowStream(samples, settings, **{**defaults, **more})


def measured_offset(batch: WindowBatch, i: int) -> int:
    """Offset by correlating how dark (open) the mouth is with how loud the audio is."""
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


def errors_of(made: WindowStream, steps: range) -> list[float]:
    """How far the labels of long windows are from what is measured."""
    errors = []
    for batch in map(made.batch, steps):
        if batch.video.shape[2] >= 15:
            rows = range(len(batch.video))
            errors += [abs(measured_offset(batch, i) - float(batch.offset_frames[i])) for i in rows]
    assert errors
    return errors


def same(a: WindowBatch, b: WindowBatch) -> bool:
    return (
        torch.equal(a.video, b.video)
        and torch.equal(a.audio, b.audio)
        and torch.equal(a.offset_frames, b.offset_frames)
        and a.audio_lead == b.audio_lead
    )


def digest(values: torch.Tensor) -> str:
    return hashlib.sha256(values.numpy().tobytes()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("step", "video", "offsets", "frames", "lead", "level"),
    [
        (0, "61acfc42187ad591", "992f8c0a89f30121", 64, 20, (1.090350, 0.720719)),
        (6, "e0d05585d5b94654", "4618b7c6def0df86", 44, 0, (1.080287, 0.752164)),
    ],
)
def test_batches_of_the_default_network_are_what_they_have_always_been(
    step: int, video: str, offsets: str, frames: int, lead: int, level: tuple[float, float]
) -> None:
    """A run goes on, and its figures come out again, after an update."""
    batch = stream().batch(step)
    assert (digest(batch.video), digest(batch.offset_frames)) == (video, offsets)
    assert batch.audio.shape == (8, 1, 64, 4 * frames) and batch.audio_lead == lead
    assert (float(batch.audio.mean()), float(batch.audio.std())) == pytest.approx(level, abs=1e-4)


@pytest.mark.parametrize(
    ("step", "light", "level"),
    [
        (0, (127.788, 49.062), (1.065819, 0.670114)),
        (6, (144.336, 57.182), (1.117930, 0.799818)),
    ],
)
def test_augmented_batches_too(
    step: int, light: tuple[float, float], level: tuple[float, float]
) -> None:
    batch = stream(replace(SETTINGS, strength=1.0)).batch(step)
    assert digest(batch.offset_frames) == digest(stream().batch(step).offset_frames)
    video = batch.video.float()
    # Frames and codecs are computed by libraries whose last digits differ between machines.
    assert (float(video.mean()), float(video.std())) == pytest.approx(light, abs=0.3)
    assert (float(batch.audio.mean()), float(batch.audio.std())) == pytest.approx(level, abs=0.02)


def test_a_second_view_shows_the_same_window_otherwise() -> None:
    clean = stream(replace(SETTINGS, views=2)).batch(3)
    assert torch.equal(clean.video, clean.second_video)
    assert torch.equal(clean.audio, clean.second_audio)
    settings = replace(SETTINGS, strength=1.0)
    one, two = (stream(replace(settings, views=n)).batch(3) for n in (1, 2))
    assert one.second_video is None and one.second_audio is None
    assert same(one, two), "the first view is what it is without a second"
    assert two.second_video.shape == two.video.shape and two.second_audio.shape == two.audio.shape
    assert not torch.equal(two.video, two.second_video)
    assert not torch.equal(two.audio, two.second_audio)
    moved = replace(two, video=two.second_video, audio=two.second_audio)
    for batch in (two, moved):
        found = [measured_offset(batch, i) - float(batch.offset_frames[i]) for i in range(8)]
        assert np.median(np.abs(found)) <= 1, "it is moved as the first"
    assert same(two, stream(replace(settings, views=2)).batch(3))


def test_the_label_is_the_offset() -> None:
    errors = errors_of(stream(), range(6))
    assert len(errors) >= 24
    assert np.median(errors) <= 0.6  # the move has fractions, the measurement has not
    assert np.mean(np.array(errors) <= 1.1) > 0.8


@pytest.mark.parametrize("name", ["mixup", "cutmix", "second_voice"])
def test_a_mixed_window_keeps_its_label_and_most_of_itself(name: str) -> None:
    mixing = AugmentSettings.only(Dose(name, 1.0))
    made = stream(replace(SETTINGS, strength=1.0, augment=mixing))
    changes = []
    for step in range(3):
        plain, mixed = stream().batch(step), made.batch(step)
        assert torch.equal(plain.offset_frames, mixed.offset_frames)
        change = (mixed.video.float() - plain.video.float()).abs()
        if name == "second_voice":
            heard = zip(plain.audio.flatten(1), mixed.audio.flatten(1))
            own = [float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in heard]
            assert not change.any() and np.median(own) > 0.6 and max(own) < 0.9999
        else:
            assert torch.equal(plain.audio, mixed.audio)
        changes.append(change)
    share = max(float((change > 0).float().mean((1, 2, 3, 4)).max()) for change in changes)
    most = max(float(change.max()) for change in changes)
    if name == "cutmix":
        assert 0.02 < share <= 0.4
    if name == "mixup":
        assert 0.3 * 110 < most <= 0.4 * 110 + 1  # mouths of 40 in faces of 150


def test_a_constant_is_added_to_the_label() -> None:
    plain, corrected = stream(), stream(constants=[-2.0] * 6)
    assert np.abs(corrected.batch(0).offset_frames.numpy()).max() <= 15
    batch = next(
        b
        for b in map(stream(late=2, constants=[-2.0] * 6).batch, range(9))
        if b.video.shape[2] > 15
    )
    errors = [measured_offset(batch, i) - float(batch.offset_frames[i]) for i in range(8)]
    assert abs(np.median(errors)) <= 0.6
    assert plain.batch(0).video.shape == corrected.batch(0).video.shape


def test_targets_are_those_of_the_frames_that_are_shown() -> None:
    samples = [talking_sample(f"k{i}", seed=i, frames=120) for i in range(6)]
    # The value of a frame is its mean light, and nothing is known of one clip.
    targets = [s.crops[:, 12:84, 12:84].mean((1, 2), keepdims=True)[:, :, 0] for s in samples]
    targets[2] = None
    batches = [stream(targets=targets).batch(step) for step in range(4)]
    seen = torch.cat([b.video[:, 0].float().mean((2, 3)).flatten() for b in batches])
    told = torch.cat([b.targets[:, 0].flatten() for b in batches])
    known = ~torch.isnan(told)
    assert 0 < known.float().mean() < 1
    assert torch.allclose(told[known], seen[known], atol=1e-2)
    assert stream().batch(0).targets is None


def test_listed_offsets_are_kept_to() -> None:
    listed = [[0, -7], [3], [15], [0], [-15, 1], [2]]
    made = stream(offsets=listed)
    seen = {n for step in range(6) for n in made.batch(step).offset_frames.tolist()}
    assert {n for row in listed for n in row} == seen
    assert np.median(errors_of(made, range(6))) == 0
    assert same(stream(offsets=listed).batch(5), made.batch(5))
    late = stream(late=2, constants=[-2.0] * 6, offsets=[[4]] * 6).batch(0)
    assert set(late.offset_frames.tolist()) == {2.0}


def test_windows_longer_than_every_clip_are_refused() -> None:
    with pytest.raises(UsageError, match="has the 121 frames"):
        stream(replace(SETTINGS, frames=121))


def test_clips_too_short_for_a_window_are_passed_over() -> None:
    long, short = talking_sample("a", seed=0, frames=40), talking_sample("b", seed=1, frames=1)
    made = WindowStream(
        [short, long, short], SETTINGS, constants=[9.0, 0.0, 9.0], people=["b", "a", "b"], seed=0
    )
    for step in range(4):
        batch = made.batch(step)
        assert batch.video.shape[2] >= 5 and float(batch.offset_frames.abs().max()) <= 15


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    settings = replace(SETTINGS, strength=1.0)
    made = stream(settings)
    first = made.batch(5)
    made.batch(6)
    assert same(first, made.batch(5)) and same(first, stream(settings).batch(5))
    assert first.offset_frames.tolist() != stream(settings, seed=2).batch(5).offset_frames.tolist()
    resumed = stream(settings)
    resumed.start_at(5)
    assert same(next(iter(resumed)), first)


@pytest.mark.parametrize("workers", [1, 2])
def test_worker_processes_make_the_same_batches(workers: int) -> None:
    made = stream(replace(SETTINGS, strength=1.0, batch=3))
    loader = torch.utils.data.DataLoader(made, batch_size=None, num_workers=workers)
    for step, batch in zip(range(3), loader):
        assert same(batch, made.batch(step))


@pytest.mark.parametrize("mixing", [0.0, 0.5])
@pytest.mark.parametrize("world", [2, 3, 8])
def test_the_shares_of_all_processes_are_the_batch_of_one(world: int, mixing: float) -> None:
    doses = tuple(Dose(name, mixing) for name in ("mixup", "cutmix", "second_voice"))
    settings = replace(SETTINGS, strength=1.0, augment=AugmentSettings(doses))
    whole = stream(settings).batch(3)
    parts = [stream(settings, shard=(rank, world)).batch(3) for rank in range(world)]
    assert max(map(len, (p.video for p in parts))) - min(map(len, (p.video for p in parts))) <= 1
    for name in ("video", "audio", "offset_frames"):
        assert torch.equal(torch.cat([getattr(p, name) for p in parts]), getattr(whole, name))
    assert {p.audio_lead for p in parts} == {whole.audio_lead}


@pytest.mark.parametrize("shard", [(2, 2), (-1, 2), (0, 9)])
def test_shares_that_cannot_be_are_refused(shard: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="process"):
        stream(shard=shard)


class Asked:
    """Samples that count how often each part is asked for."""

    def __init__(self, samples: list[Sample]) -> None:
        self._samples = samples
        self.infos = [s.info for s in samples]
        self.crops = self.audio = 0

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> _AskedSample:
        return _AskedSample(self, self._samples[index])


class _AskedSample:
    def __init__(self, counts: Asked, sample: Sample) -> None:
        self.info, self._counts, self._sample = sample.info, counts, sample

    @property
    def crops(self) -> np.ndarray:
        self._counts.crops += 1
        return self._sample.crops

    @property
    def audio(self) -> np.ndarray:
        self._counts.audio += 1
        return self._sample.audio


def test_clips_are_read_only_when_a_window_is_cut() -> None:
    # 500 frames, so that most windows lie whole in their clip and need no filling.
    samples = Asked([talking_sample(f"k{i}", seed=i, frames=500) for i in range(2)])
    keep = {"constants": None, "people": ["a", "b"], "seed": 0}
    made = WindowStream(samples, SETTINGS, **keep)
    assert (samples.crops, samples.audio) == (0, 0)
    made.batch(0)
    assert samples.crops == 8 and 8 <= samples.audio <= 12
    before = samples.crops
    WindowStream(samples, SETTINGS, shard=(1, 4), **keep).batch(0)
    assert samples.crops == before + 2
    borrowing = AugmentSettings.only(Dose("babble", 1.0), Dose("shades", 1.0))
    audio = samples.audio
    WindowStream(samples, replace(SETTINGS, strength=1.0, augment=borrowing), **keep).batch(0)
    assert samples.crops == before + 2 + 16 and samples.audio >= audio + 16


@pytest.mark.integration
def test_a_curriculum_begins_with_long_loud_windows_little_moved_by_whole_frames() -> None:
    quiet = [talking_sample(f"k{i}", seed=i, frames=120) for i in range(6)]
    samples = []
    for sample in quiet:  # the first 60 frames are all but silent
        audio = sample.audio.copy()
        audio[: 60 * 640] //= 100
        samples.append(replace(sample, audio=audio))
    keep = {"constants": [0.25] * 6, "people": [s.info.key for s in samples], "seed": 1}
    settings = replace(SETTINGS, curriculum_steps=1000)
    easy = WindowStream(samples, settings, **keep)
    late = WindowStream(samples, replace(SETTINGS, curriculum_steps=1), **keep)
    hard = WindowStream(samples, SETTINGS, **keep)
    labels, levels, lengths = [], {"easy": [], "hard": []}, []
    for step in range(10):
        batch = easy.batch(step)
        labels += batch.offset_frames.tolist()
        lengths.append(batch.video.shape[2])
        levels["easy"].append(float(batch.audio.mean()))
        levels["hard"].append(float(hard.batch(step).audio.mean()))
    assert max(map(abs, labels)) <= 6 and len(set(labels)) > 4
    assert np.mean([label == round(label) for label in labels]) > 0.9
    assert np.mean(np.array(lengths) == 24) > 0.9
    assert np.mean(levels["easy"]) > np.mean(levels["hard"]) + 0.2
    assert same(easy.batch(4), WindowStream(samples, settings, **keep).batch(4))
    assert same(late.batch(7), hard.batch(7))
    assert max(abs(n) for s in range(10) for n in late.batch(s + 1).offset_frames.tolist()) > 12
    assert {late.batch(s).video.shape[2] for s in range(1, 30)} == {5, 8, 16, 24}


def test_frames_grow_sharper_as_the_steps_go() -> None:
    rng = np.random.default_rng(0)
    samples = [
        replace(talking_sample("a", seed=0), crops=rng.integers(0, 256, (40, 96, 96), np.uint8))
    ]
    settings = replace(SETTINGS, resolution_steps=100)
    made = WindowStream(samples, settings, constants=None, people=["a"], seed=0)
    plain = WindowStream(samples, SETTINGS, constants=None, people=["a"], seed=0)
    contrast = [float(made.batch(step).video.float().std()) for step in (0, 50, 99)]
    assert contrast[0] < 0.8 * contrast[1] < 0.8 * 0.8 * contrast[2]
    assert made.batch(0).video.shape == plain.batch(0).video.shape
    assert same(made.batch(100), plain.batch(100))


def test_colour_comes_first_in_a_batch_of_colour_crops() -> None:
    sample = talking_sample("a", seed=0)
    crops = np.stack([sample.crops, sample.crops // 2, sample.crops // 4], -1)
    made = WindowStream(
        [replace(sample, crops=crops)],
        replace(SETTINGS, strength=1.0, video=replace(MOUTH, colour="rgb")),
        constants=None,
        people=["a"],
        seed=0,
    )
    for step in range(3):
        video = made.batch(step).video
        assert video.shape[:2] == (8, 3) and video.shape[3:] == (72, 72)
        assert video.dtype == torch.uint8 and video.is_contiguous()


def test_a_batch_tells_what_its_time_went_to() -> None:
    batch = stream(replace(SETTINGS, strength=1.0)).batch(0)
    assert tuple(batch.seconds) == STAGES
    assert all(batch.seconds[name] > 0 for name in STAGES)


def test_audio_beyond_a_clip_comes_from_another() -> None:
    rng = np.random.default_rng(0)
    audio, filler = np.full(1000, 7000, np.int16), np.full(300, -3000, np.int16)
    made = audio_segment(audio, -500, 2000, filler, rng)
    assert (made[:500] == -3000).all() and (made[1500:] == -3000).all()
    assert (made[600:1400] == 7000).all()
    assert np.array_equal(audio_segment(audio, 100, 800, filler, rng), audio[100:900])


@pytest.mark.parametrize("size", [0, 1, 700])
def test_clips_with_next_to_no_audio_make_windows(size: int) -> None:
    sample = replace(talking_sample("a", seed=0), audio=np.zeros(size, np.int16))
    made = WindowStream(
        [sample], replace(SETTINGS, strength=1.0), constants=None, people=["a"], seed=0
    )
    for step in range(3):
        assert torch.isfinite(made.batch(step).audio).all()


def test_a_person_is_drawn_by_the_square_root_of_his_clips() -> None:
    infos = [
        talking_sample(f"k{i}", seed=0, frames=f).info for i, f in enumerate([40] * 9 + [40, 5])
    ]
    planner = Planner(infos, SETTINGS, people=["often"] * 9 + ["once", "short"], seed=0)
    drawn = planner.draw(np.random.default_rng(0), 4000, at_least=24)
    assert set(drawn.tolist()) == set(range(10))  # and never the one of 5 frames
    assert np.mean(drawn == 9) == pytest.approx(1 / 4, abs=0.03)
    assert (planner.draw(np.random.default_rng(1), 4000) == 10).any()


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_a_row_is_mixed_with_another_one(batch: int) -> None:
    infos = [talking_sample("a", seed=0).info]
    planner = Planner(infos, replace(SETTINGS, batch=batch), people=["a"], seed=0)
    for step in range(20):
        partners = planner.plan(step).partners
        assert ((0 <= partners) & (partners < batch)).all()
        assert (partners != np.arange(batch)).all() == (batch > 1)


def test_rhythm_pairs_follow_a_row_with_another_person_of_its_source_at_the_same_place() -> None:
    infos = [
        replace(talking_sample(f"k{i}", seed=0, frames=120).info, source="ab"[i % 2])
        for i in range(12)
    ]
    people = [f"p{i // 4}" for i in range(12)]
    settings = replace(SETTINGS, batch=16, rhythm_pairs=0.5)
    planner, plain = (
        Planner(infos, s, people=people, seed=3)
        for s in (settings, replace(settings, rhythm_pairs=0.0))
    )
    paired = 0
    for step in range(50):
        plan, before = planner.plan(step), plain.plan(step)
        led = np.flatnonzero(plan.leaders != np.arange(16))
        paired += led.size
        assert (led % 2 == 1).all() and (plan.leaders[led] == led - 1).all()
        for row in led:
            one, other = plan.clips[row], plan.clips[row - 1]
            assert infos[one].source == infos[other].source and people[one] != people[other]
        others = np.setdiff1d(np.arange(16), led)
        assert (plan.clips[others] == before.clips[others]).all()
        assert (before.leaders == np.arange(16)).all()
    assert paired == pytest.approx(50 * 8 / 2, rel=0.2)


def test_a_row_led_by_another_is_cut_where_that_one_is() -> None:
    made = stream(replace(SETTINGS, rhythm_pairs=1.0))
    plan = made._planner.plan(0)
    for row in range(1, 8, 2):
        assert plan.leaders[row] == row - 1
        assert made._window(row, 0, plan).first == made._window(row - 1, 0, plan).first
