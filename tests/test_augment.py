"""What augmentations do to windows, and that none of them moves audio or frame in time."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import scipy.signal
import soundfile
import torch

from synctool.data.augment import (
    GROUPS,
    AugmentSettings,
    Dice,
    Dose,
    augment_audio,
    augment_bands,
    augment_features,
    augment_images,
    centre_crop,
    with_gain,
)
from synctool.data.augmentation import codec
from synctool.data.augmentation.augmented_audio import mixed
from synctool.data.augmentation.backgrounds import Backgrounds, convolved, direct_first
from synctool.data.augmentation.camera import coarse
from synctool.data.augmentation.mixing import mix_audio, mix_images
from synctool.data.augmentation.music import music
from synctool.errors import MissingError, SyncToolError
from synctool.types import AUDIO_HZ

IMAGE_ROWS = sorted(GROUPS["picture"])
AUDIO_ROWS = sorted(GROUPS["sound"] - {"clean_sound"})
BANDS = sorted(GROUPS["bands"])
STEP = 11


def dice(*names: str, seed: int = 0, strength: float = 1.0, amount: float = 1.0) -> Dice:
    """Dice by which exactly these happen."""
    settings = AugmentSettings.only(*(Dose(name, 1.0, strength) for name in names))
    return Dice(settings, np.random.default_rng(seed), amount=amount)


def video(frames: int = 24, size: int = 96, colour: bool = False) -> np.ndarray:
    """A textured frame that grows lighter, and much so at the frame ``STEP``."""
    rng = np.random.default_rng(5)
    texture = rng.normal(0, 12, (size, size, 3) if colour else (size, size))
    levels = np.where(np.arange(frames) < STEP, 40, 150) + 4 * np.arange(frames)
    return (levels.reshape(-1, *(1,) * texture.ndim) + texture).clip(0, 255).astype(np.uint8)


def speech(seed: int = 0, seconds: float = 1.5) -> np.ndarray:
    """Coloured noise in bursts, like syllables: float32 ``[N]``."""
    rng = np.random.default_rng(seed)
    size = int(seconds * AUDIO_HZ)
    knots = rng.random(size // 800 + 2)
    loud = np.interp(np.arange(size), 800 * np.arange(len(knots)), knots)
    audio = scipy.signal.lfilter([1], [1, -0.85], rng.normal(0, 1, size)) * loud**3
    return (0.5 * audio / np.abs(audio).max()).astype(np.float32)


def voices() -> list[np.ndarray]:
    return [(32768 * speech(seed)).astype(np.int16) for seed in (7, 8)]


def room(delay: int = 120, hz: int = AUDIO_HZ) -> np.ndarray:
    """An impulse response whose direct sound comes after ``delay`` samples: float32 ``[N]``."""
    tail = np.random.default_rng(3).normal(0, 0.1, hz // 4)
    response = np.concatenate([np.zeros(delay), [0.5], tail * np.exp(-np.arange(hz // 4) / 800)])
    return response.astype(np.float32)


def write_backgrounds(folder: Path) -> None:
    """A room, a noise at another rate in two channels, and a tune."""
    rng = np.random.default_rng(4)
    noise = rng.normal(0, 0.1, (44_100, 2)) * (1, 0)
    for name, samples, hz in (
        ("rir/hall.wav", room(), AUDIO_HZ),
        ("noise/street/cars.flac", noise, 44_100),
        ("music/tune.flac", 0.1 * music(32_000, rng) / 10, AUDIO_HZ),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, samples, hz)


@lru_cache(maxsize=1)
def backgrounds() -> Backgrounds:
    with TemporaryDirectory() as folder:
        write_backgrounds(Path(folder))
        made = Backgrounds(Path(folder))
        for kind in ("rir", "noise", "music"):
            made.draw(kind, np.random.default_rng(0))  # and is kept
    return made


def heard(audio: np.ndarray, dice: Dice, voices=voices) -> np.ndarray:
    """A waveform after everything that a window's goes through."""
    made = augment_audio(audio, dice, voices=voices, backgrounds=backgrounds())
    return with_gain(made, dice, leveled=False)


def lag(audio: np.ndarray, reference: np.ndarray) -> int:
    """Samples by which a waveform is behind another, by cross-correlation."""
    scores = scipy.signal.correlate(audio, reference, method="fft")
    return int(scores.argmax()) - (len(reference) - 1)


def other_person() -> np.ndarray:
    return np.random.default_rng(9).integers(0, 256, (96, 96), np.uint8)


def brightened_at(crops: np.ndarray) -> int:
    """First frame that is nearer to the light half than to the dark one."""
    means = crops.reshape(len(crops), -1).mean(1)
    dark, light = np.median(means[:STEP]), np.median(means[STEP:])
    return int(np.argmax((means - dark) / (light - dark) > 0.5))


@pytest.mark.parametrize("name", IMAGE_ROWS)
def test_every_augmentation_of_the_frame_changes_it_and_keeps_its_frames(name: str) -> None:
    plain, seen = centre_crop(video(), 72), []
    for seed in range(7):
        made = augment_images(video(), 72, dice(name, seed=seed), other_person=other_person)
        assert made.shape == (24, 72, 72) and made.dtype == np.uint8
        assert not np.array_equal(made, plain)
        seen.append(brightened_at(made))
    if name == "frame_drops":  # the first light frame itself may be lost
        assert min(seen) == STEP and np.median(seen) == STEP and max(seen) <= STEP + 4
    else:
        assert set(seen) == {STEP}


def test_a_lost_frame_is_replaced_by_the_one_before() -> None:
    crops = np.arange(24, dtype=np.uint8)[:, None, None] * np.ones((96, 96), np.uint8)
    shown = augment_images(crops, 72, dice("frame_drops"))[:, 0, 0].astype(int)
    assert shown[0] == 0 and (np.diff(shown) >= 0).all() and (shown <= np.arange(24)).all()
    assert 0 < np.sum(shown != np.arange(24)) < 14


def test_blended_frames_are_on_time_on_average() -> None:
    crops = 10 * np.arange(24, dtype=np.uint8)[:, None, None] * np.ones((96, 96), np.uint8)
    late = [
        augment_images(crops, 72, dice("time_jitter", seed=s))[:, 0, 0] / 10 - np.arange(24)
        for s in range(30)
    ]
    assert np.abs(late).max() <= 0.55 and np.abs(late).max() > 0.3
    assert abs(np.mean(late)) < 0.03


def test_blocks_that_hardly_change_are_carried_over() -> None:
    rng = np.random.default_rng(3)
    still = rng.integers(60, 190, (96, 96)).astype(np.float32)
    crops = np.stack([still] * 24)
    crops[:, 40:56, 40:56] = rng.integers(60, 190, (24, 16, 16))  # a part that moves
    crops += rng.normal(0, 0.5, crops.shape)
    made = augment_images(crops.clip(0, 255).astype(np.uint8), 72, dice("video_codec"))
    same = (made[1:] == made[:-1]).mean(0)
    assert same[4:20, 4:20].mean() > 0.8 > 0.5 > same[30:42, 30:42].mean()


@pytest.mark.parametrize("name", ["shift", "zoom", "turn", "shear", "mirror", "elastic", "light",
                                  "lamps", "shades", "patch", "randaugment"])  # fmt: skip
def test_what_is_drawn_for_a_window_is_the_same_in_all_frames(name: str) -> None:
    still = np.repeat(video()[:1], 6, 0)
    made = augment_images(still, 72, dice(name), other_person=other_person)
    assert (made == made[0]).all()


@pytest.mark.parametrize("name", ["drift", "jitter", "moving_patch", "hand", "grain"])
def test_what_moves_is_different_in_each_frame(name: str) -> None:
    made = augment_images(np.repeat(video()[:1], 6, 0), 72, dice(name))
    assert not (made == made[0]).all()


@pytest.mark.parametrize("colour", [False, True])
def test_randaugment_maps_a_level_alike_in_all_frames(
    colour: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each frame by itself, a frame that is darker as a whole would be brightened more."""
    from torchvision.transforms.v2 import RandAugment

    rng = np.random.default_rng(1)
    crops = rng.integers(40, 140, (2, 32, 32, 3) if colour else (2, 32, 32)).astype(np.uint8)
    crops[0, 20:], crops[1, 20:] = 40, 200
    space = RandAugment._AUGMENTATION_SPACE
    for name in ("AutoContrast", "Equalize", "Contrast"):
        monkeypatch.setattr(RandAugment, "_AUGMENTATION_SPACE", {name: space[name]})
        made = augment_images(crops, 32, dice("randaugment"))
        assert not np.array_equal(made, crops)
        for channel in range(3 if colour else 1):
            before, after = (x.reshape(2, 32, 32, -1)[..., channel].ravel() for x in (crops, made))
            pairs = set(zip(before.tolist(), after.tolist()))
            assert len(pairs) == len(set(before.tolist())), name


def test_randaugment_has_chance_of_its_own_and_takes_its_policy() -> None:
    torch.manual_seed(3)
    state = torch.get_rng_state()
    once, again, other = (
        augment_images(video(), 72, dice("randaugment", seed=seed)) for seed in (0, 0, 1)
    )
    assert np.array_equal(once, again) and not np.array_equal(once, other)
    assert torch.equal(torch.get_rng_state(), state), "the training's own chance"
    far = []
    for magnitude in (1, 30):
        chosen = AugmentSettings.only().with_randaugment(1, magnitude)
        many = [
            augment_images(video(2), 72, Dice(chosen, np.random.default_rng(seed)))
            for seed in range(30)
        ]
        plain = centre_crop(video(2), 72).astype(int)
        far.append(np.mean([np.abs(made - plain).mean() for made in many]))
    assert far[0] < far[1]


def test_a_hand_covers_a_part_and_not_all() -> None:
    shares = []
    for seed in range(10):
        changed = np.abs(
            augment_images(video(), 72, dice("hand", seed=seed)).astype(int)
            - centre_crop(video(), 72)
        )
        shares.append((changed[-1] > 2).mean())
    assert 0.02 < np.median(shares) < 0.6


@pytest.mark.parametrize("frames", [1, 2, 30])
@pytest.mark.parametrize("colour", [False, True])
def test_frames_in_grey_or_colour_of_any_length(frames: int, colour: bool) -> None:
    crops = video(frames, colour=colour)
    before = crops.copy()
    for seed, names in enumerate([IMAGE_ROWS, [], IMAGE_ROWS[::2]]):
        made = augment_images(
            crops, 72, dice(*names, seed=seed), other_person=lambda: video(1, colour=colour)[0]
        )
        assert made.shape == (frames, 72, 72, *crops.shape[3:]) and made.dtype == np.uint8
        assert np.array_equal(crops, before)  # what is stored is not written to
        made[:] = 0
        assert np.array_equal(crops, before)


@pytest.mark.parametrize("size_px", [16, 112])
def test_crops_of_other_sizes(size_px: int) -> None:
    made = augment_images(video(3, size_px + 24), size_px, dice(*IMAGE_ROWS), other_person=None)
    assert made.shape == (3, size_px, size_px)


@pytest.mark.parametrize("name", IMAGE_ROWS)
def test_a_strength_of_nothing_leaves_the_frame_alone(name: str) -> None:
    plain = centre_crop(video(), 72)
    for none in (dice(name, strength=0.0), dice(name, amount=0.0)):
        assert np.array_equal(augment_images(video(), 72, none, other_person=other_person), plain)


@pytest.mark.parametrize("name", ["blur", "resolution", "grain", "lamps", "jpeg", "light", "turn"])
def test_a_greater_strength_does_more_to_the_frame(name: str) -> None:
    plain = centre_crop(video(), 72).astype(int)
    changes = [
        np.abs(augment_images(video(), 72, dice(name, strength=s)) - plain).mean()
        for s in (0.2, 1.0)
    ]
    assert changes[0] < changes[1]


@pytest.mark.parametrize("name", AUDIO_ROWS)
def test_every_augmentation_of_the_audio_changes_it_and_moves_nothing(name: str) -> None:
    for seed in range(6):
        audio = speech(seed)
        made = heard(audio, dice(name, seed=seed))
        assert made.shape == audio.shape and made.dtype == np.float32
        assert np.isfinite(made).all() and not np.array_equal(made, audio)
        assert abs(lag(made, audio)) <= 2


@pytest.mark.parametrize("name", sorted(set(AUDIO_ROWS) - {"dropouts"}))
def test_a_click_stays_where_it_is(name: str) -> None:
    for seed in range(6):
        audio = 0.002 * speech(seed)
        audio[9000] = 0.9
        made = heard(audio, dice(name, seed=seed))
        assert abs(int(np.abs(made).argmax()) - 9000) <= 2


@pytest.mark.parametrize("known", codec.aligned_codecs(), ids=lambda known: known[0].name)
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_codecs_are_aligned_to_the_sample(
    known: tuple[codec.Codec, int], level: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec, "aligned_codecs", lambda: (known,))
    for seconds in (0.3, 1.0, 2.56):
        audio = speech(3, seconds)
        made = codec.through_codec(audio, np.random.default_rng(0), level)
        assert made.shape == audio.shape and made.dtype == np.float32
        assert lag(made, audio) == 0
        assert np.corrcoef(made, audio)[0, 1] > 0.5
        assert lag(known[0].through(audio, level), audio) == known[1]


def test_a_delay_of_a_codec_is_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(_: codec.Codec, audio: np.ndarray, level: float) -> np.ndarray:
        return np.concatenate([np.zeros(529, np.float32), audio])

    def early(_: codec.Codec, audio: np.ndarray, level: float) -> np.ndarray:
        return audio[37:]

    for wrong, delay in ((late, 529), (early, -37)):
        monkeypatch.setattr(codec.Codec, "through", wrong)
        known = codec.aligned_codecs.__wrapped__()
        assert {d for _, d in known} == {delay}
        monkeypatch.setattr(codec, "aligned_codecs", lambda known=known: known)
        audio = speech()
        made = codec.through_codec(audio, np.random.default_rng(0), 1.0)
        assert np.array_equal(made[40:], audio[40:])
        monkeypatch.undo()


def test_codecs_that_cannot_be_had_or_found_again_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def through(self: codec.Codec, audio: np.ndarray, level: float) -> np.ndarray:
        if self.name == "mp3":
            raise ValueError("no such format")
        return audio if self.name == "opus" else np.ones_like(audio)

    monkeypatch.setattr(codec.Codec, "through", through)
    known = codec.aligned_codecs.__wrapped__()
    assert [c.name for c, _ in known] == ["opus"]
    monkeypatch.setattr(codec, "aligned_codecs", tuple)
    audio = speech()
    assert codec.through_codec(audio, np.random.default_rng(0), 1.0) is audio


def test_noise_is_as_loud_as_its_level_says() -> None:
    audio, other = speech(1), 30 * speech(2)
    noise = mixed(audio, other, 10.0) - audio
    assert 10 * np.log10(np.mean(audio**2) / np.mean(noise**2)) == pytest.approx(10, abs=0.05)


def test_band_limits_take_away_what_lies_beyond() -> None:
    audio = np.random.default_rng(0).normal(0, 0.1, AUDIO_HZ).astype(np.float32)

    def level(x: np.ndarray, low: int, high: int) -> float:
        return float(np.abs(np.fft.rfft(x))[low:high].mean())  # one bin is 1 Hz

    narrow = augment_audio(audio, dice("telephone"))
    assert level(narrow, 50, 150) < 0.3 * level(audio, 50, 150)
    assert level(narrow, 6000, 7500) < 0.3 * level(audio, 6000, 7500)
    assert level(narrow, 800, 1500) > 0.9 * level(audio, 800, 1500)
    low = augment_audio(audio, dice("band_limit"))
    assert level(low, 7700, 8000) < 0.5 * level(audio, 7700, 8000)


def test_gaps_are_silent_and_short() -> None:
    audio = np.ones(AUDIO_HZ, np.float32)
    for seed in range(5):
        made = augment_audio(audio, dice("dropouts", seed=seed))
        assert set(np.unique(made)) == {0.0, 1.0}
        assert 80 <= np.sum(made == 0) <= 4 * 960


def test_a_room_leaves_the_direct_audio_and_adds_what_follows() -> None:
    click = np.zeros(AUDIO_HZ, np.float32)
    click[1000] = 1.0
    made = augment_audio(click, dice("reverb"))
    assert made[1000] == pytest.approx(1.0, abs=1e-4)
    assert np.abs(made[:1000]).max() < 1e-5 and np.abs(made[1033:4000]).max() > 1e-3
    assert np.abs(made[1001:1031]).max() < 1e-5


def test_gain_keeps_near_the_level_where_that_is_normalized() -> None:
    audio, gains_db = speech(), {True: [], False: []}
    for leveled, found in gains_db.items():
        for seed in range(200):
            made = with_gain(audio, dice("gain", seed=seed), leveled=leveled)
            found.append(20 * np.log10(np.linalg.norm(made) / np.linalg.norm(audio)))
    assert -6 <= min(gains_db[True]) < -5 and 5 < max(gains_db[True]) <= 6
    assert -24 <= min(gains_db[False]) < -22 and 5 < max(gains_db[False]) <= 6


def test_a_recorded_room_moves_nothing_whatever_its_own_delay() -> None:
    click = np.zeros(4000, np.float32)
    click[1000] = 1.0
    for delay in (0, 37, 900):
        made = convolved(click, direct_first(room(delay)))
        assert int(np.abs(made).argmax()) == 1000 and made[1000] == pytest.approx(1.0, abs=1e-5)
        assert np.abs(made[:1000]).max() < 1e-5 and np.abs(made[1001:1400]).max() > 0.05


def test_backgrounds_are_read_at_16_khz_in_mono() -> None:
    noise = backgrounds().draw("noise", np.random.default_rng(1))
    assert noise.dtype == np.float32 and noise.shape == (16_000,)
    assert noise.std() == pytest.approx(0.1 * (16 / 44.1) ** 0.5, rel=0.1)  # of the first channel


def test_a_folder_without_backgrounds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no background audio"):
        Backgrounds(tmp_path)
    (tmp_path / "noise").mkdir()
    (tmp_path / "noise" / "x.wav").write_bytes(b"not a waveform")
    with pytest.raises(SyncToolError, match=r"x\.wav"):
        Backgrounds(tmp_path).draw("noise", np.random.default_rng(0))


def test_music_has_a_beat_and_goes_on() -> None:
    for seed in range(8):
        tune = music(48_000, np.random.default_rng(seed))
        assert tune.shape == (48_000,) and tune.dtype == np.float32 and np.isfinite(tune).all()
        assert (tune.reshape(3, -1).std(1) > 0.01).all()
    assert music(5, np.random.default_rng(0)).shape == (5,)


@pytest.mark.parametrize("name", AUDIO_ROWS)
def test_a_strength_of_nothing_leaves_the_audio_alone(name: str) -> None:
    audio = speech()
    for none in (dice(name, strength=0.0), dice(name, amount=0.0)):
        assert np.array_equal(heard(audio, none), audio)


def test_clean_audio_is_left_alone() -> None:
    audio = speech()
    assert heard(audio, dice("clean_sound", *AUDIO_ROWS)) is audio


@pytest.mark.parametrize(
    "audio",
    [
        np.zeros(0, np.float32),
        np.zeros(1, np.float32),
        np.zeros(8000, np.float32),
        np.full(8000, 50.0, np.float32),
    ],
    ids=["none", "one sample", "silence", "far too loud"],
)
@pytest.mark.parametrize("others", [[], [np.zeros(0, np.int16)], [np.ones(1, np.int16)]])
def test_odd_audio_come_out_finite(audio: np.ndarray, others: list[np.ndarray]) -> None:
    for seed in range(3):
        made = heard(audio, dice(*AUDIO_ROWS, seed=seed), lambda: others)
        assert made.shape == audio.shape and np.isfinite(made).all()
    assert np.isfinite(augment_audio(audio, dice(*AUDIO_ROWS))).all()


@pytest.mark.parametrize("name", BANDS)
def test_every_augmentation_of_the_bands_changes_them_and_moves_nothing(name: str) -> None:
    rng = np.random.default_rng(0)
    course = rng.normal(0, 1, 200).astype(np.float32)
    for seed in range(5):
        mel = course + rng.normal(0, 0.3, (64, 200)).astype(np.float32)
        before = mel.copy()
        made = augment_bands(mel, dice(name, seed=seed))
        assert made.shape == mel.shape and made.dtype == np.float32
        assert np.array_equal(mel, before) and not np.array_equal(made, mel)
        assert lag(made.mean(0) - made.mean(), mel.mean(0) - mel.mean()) == 0
    for none in (dice(name, strength=0.0), dice(name, amount=0.0)):
        assert np.array_equal(augment_bands(mel, none), mel)


def features(kind: str, steps: int = 200) -> np.ndarray:
    rng = np.random.default_rng(0)
    course = 3 * rng.normal(0, 1, steps).astype(np.float32)
    if kind == "waveform16k":
        return np.repeat(course, 160) * rng.normal(0, 0.01, 160 * steps).astype(np.float32)
    bands = 64 if kind == "logmel64" else 13
    means = 10 * rng.normal(0, 1, (bands, 1))
    return (course + means + rng.normal(0, 0.3, (bands, steps))).astype(np.float32)[None]


@pytest.mark.parametrize("kind", ["logmel64", "mfcc13", "waveform16k"])
def test_every_kind_of_features_is_augmented_as_it_allows(kind: str) -> None:
    plain = features(kind)
    before, changed = plain.copy(), set()
    for name in BANDS:
        made = augment_features(plain, kind, dice(name))
        assert made.shape == plain.shape and made.dtype == np.float32
        assert np.array_equal(plain, before) and np.isfinite(made).all()
        if not np.array_equal(made, plain):
            changed.add(name)
        for none in (dice(name, strength=0.0), dice(name, amount=0.0)):
            assert np.array_equal(augment_features(plain, kind, none), plain)
    assert (
        changed
        == {
            "logmel64": set(BANDS),
            "mfcc13": {"band_masks", "time_masks"},
            "waveform16k": {"time_masks"},
        }[kind]
    )
    if kind == "logmel64":
        whole = dice(*BANDS)
        assert np.array_equal(
            augment_features(plain, kind, whole)[0], augment_bands(plain[0], dice(*BANDS))
        )


def test_a_blank_coefficient_is_at_its_own_mean() -> None:
    plain = features("mfcc13")[0]
    counts = set()
    for seed in range(12):
        made = augment_features(plain[None], "mfcc13", dice("band_masks", seed=seed))[0]
        blank = np.ptp(made, 1) < 1e-3
        counts.add(int(blank.sum()))
        np.testing.assert_allclose(made[blank].mean(1), plain[blank].mean(1), atol=0.3)
        np.testing.assert_allclose(made[~blank], plain[~blank], atol=1e-4)
    assert counts <= {1, 2, 3, 4} and len(counts) > 1


def test_gaps_of_a_waveform_are_short() -> None:
    plain = features("waveform16k")
    for seed in range(5):
        made = augment_features(plain, "waveform16k", dice("time_masks", seed=seed))
        changed = (made != plain).reshape(-1, 160).any(1)
        assert 1 <= changed.sum() <= 18
        assert np.abs(made.reshape(-1, 160)[changed]).max() < 1e-3


def test_masks_of_time_are_short() -> None:
    mel = np.random.default_rng(0).normal(0, 1, (64, 100)).astype(np.float32)
    for seed in range(10):
        blank = np.ptp(augment_bands(mel, dice("time_masks", seed=seed)), 0) == 0
        assert 1 <= blank.sum() <= 18


@pytest.mark.parametrize("shape", [(64, 0), (64, 1), (1, 30)])
def test_odd_bands_keep_their_shape(shape: tuple[int, int]) -> None:
    assert augment_bands(np.zeros(shape, np.float32), dice(*BANDS)).shape == shape


def test_another_mouth_shines_through() -> None:
    one, other = np.full((4, 72, 72), 100, np.uint8), np.full((4, 72, 72), 200, np.uint8)
    levels = {int(mix_images(one, other, dice("mixup", seed=s))[0, 0, 0]) for s in range(60)}
    assert min(levels) >= 100 and max(levels) == 140 and len(levels) > 10


def test_a_rectangle_of_another_window() -> None:
    one, other = np.full((4, 72, 72, 3), 100, np.uint8), np.full((4, 72, 72, 3), 200, np.uint8)
    for seed in range(20):
        made = mix_images(one, other, dice("cutmix", seed=seed))
        foreign = (made == 200).all(-1)
        assert (foreign == foreign[0]).all() and 0.03 < foreign.mean() <= 0.4
        rows, columns = np.nonzero(foreign[0])
        area = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
        assert area == foreign[0].sum()
    assert (one == 100).all()


def test_a_second_voice_is_never_the_louder_one() -> None:
    audio, other = speech(1), 20 * speech(2)
    for seed in range(10):
        added = mix_audio(audio, other, dice("second_voice", seed=seed)) - audio
        level = 10 * np.log10(np.mean(audio**2) / np.mean(added**2))
        assert -0.05 <= level <= 15.05 and abs(lag(added, other)) == 0


def test_nothing_is_mixed_unless_asked_for() -> None:
    usual = Dice(AugmentSettings(), np.random.default_rng(0))
    one = video(size=72)
    assert mix_images(one, 255 - one, usual) is one
    assert mix_audio(speech(), speech(1), usual).tolist() == speech().tolist()


def test_coarse_frames_keep_their_size() -> None:
    crops = video(size=72)
    assert coarse(crops, 72) is crops and coarse(crops, 90) is crops
    made = coarse(crops, 12)
    assert made.shape == crops.shape and made[0].std() < 0.5 * crops[0].std()
    assert brightened_at(made) == STEP
