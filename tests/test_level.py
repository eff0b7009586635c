"""Speech level: what counts for it, and that the volume of a recording does not matter."""

from __future__ import annotations

import numpy as np
import pytest

from synctool.features.frontends import FRONT_ENDS
from synctool.features.level import BLOCK, LevelNormalizer, SpeechLevel, normalize_level
from synctool.features.logmel import LEVEL_DB, logmel
from synctool.types import AUDIO_HZ


def talk(seconds: float, *, pauses: bool = True, seed: int = 0) -> np.ndarray:
    """Noise of 0.1 RMS (-20 dB), every other second of which is 40 dB softer: float32 ``[N]``."""
    audio = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * AUDIO_HZ))
    if pauses:
        audio[np.arange(audio.size) // AUDIO_HZ % 2 == 1] *= 0.01
    return audio.astype(np.float32)


def level(audio: np.ndarray) -> float | None:
    meter = SpeechLevel()
    meter.add(audio)
    return meter.db


def test_a_level_is_that_of_speech_and_not_of_its_pauses() -> None:
    assert level(talk(6, pauses=False)) == pytest.approx(-20, abs=0.1)
    assert level(talk(6)) == pytest.approx(-20, abs=0.1)
    assert level(np.concatenate([np.zeros(60 * AUDIO_HZ, np.float32), talk(2)])) == pytest.approx(
        -20, abs=0.2
    )


@pytest.mark.parametrize("gain", [1e-3, 1, 100])
def test_whatever_is_beyond_full_scale_has_a_level_too(gain: float) -> None:
    wanted = -20 + 20 * np.log10(gain)
    assert level(np.float32(gain) * talk(3)) == pytest.approx(wanted, abs=0.2)


def test_silence_has_no_level_and_is_left_alone() -> None:
    assert level(np.zeros(AUDIO_HZ, np.float32)) is None
    assert level(np.zeros(0, np.float32)) is None
    faint = np.full(3000, 1e-6, np.float32)
    assert np.array_equal(normalize_level(faint, -14.0), faint)


def test_what_was_long_ago_counts_less() -> None:
    meter = SpeechLevel()
    meter.add(10 * talk(10))  # as loud as full scale
    loud = meter.db
    for seed in range(60):
        meter.add(talk(10, seed=seed))
    assert loud == pytest.approx(0, abs=0.1) and meter.db == pytest.approx(-20, abs=0.5)


@pytest.mark.parametrize("gain_db", [-50, -40, -20, -6, 6])
def test_the_features_of_a_softer_recording_are_the_same(gain_db: float) -> None:
    audio = talk(25)
    softer = np.round(32768 * 0.3 * audio * 10 ** (gain_db / 20)).astype(np.int16)
    plain = np.round(32768 * 0.3 * audio).astype(np.int16)
    front = FRONT_ENDS["logmel64"]
    wanted, got = (front.compute(front.at_level(x)) for x in (plain, softer))
    spoken = wanted[0, 10:] > 0  # the lowest bands and the pauses may drown in 16 bits at -50 dB
    assert spoken.mean() > 0.4
    assert np.abs(got - wanted)[0, 10:][spoken].mean() < (0.02 if gain_db >= -40 else 0.05)


def test_without_it_they_would_not_be() -> None:
    audio = talk(3)
    assert np.abs(logmel(0.1 * audio) - logmel(audio)).mean() > 0.5


@pytest.mark.parametrize("piece", [1000, 6400, BLOCK - 1, BLOCK, 3 * BLOCK])
def test_a_stream_is_normalized_as_a_whole_is(piece: int) -> None:
    audio = np.concatenate([talk(20), 0.2 * talk(20, seed=1)])
    normalizer = LevelNormalizer(LEVEL_DB)
    parts = [normalizer.add(audio[i : i + piece]) for i in range(0, audio.size, piece)]
    got = np.concatenate([*parts, normalizer.finish()])
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, normalize_level(audio, LEVEL_DB))
    assert level(got[:BLOCK]) == pytest.approx(LEVEL_DB, abs=0.1)


def test_the_gain_changes_without_a_step() -> None:
    quiet = np.full(BLOCK, 0.01, np.float32)
    made = normalize_level(np.concatenate([quiet, 10 * quiet]), -20.0)
    gains = made / np.concatenate([quiet, 10 * quiet])
    assert gains[0] == pytest.approx(10, rel=1e-3) and gains[-1] < 2
    assert np.abs(np.diff(gains)).max() < 0.01


def test_only_log_mel_networks_ask_for_a_level() -> None:
    """MFCCs are those of the published SyncNet, and waveforms are normalised by their networks."""
    audio = np.array([100, -200, 300], np.int16)
    for kind in ("mfcc13", "waveform16k"):
        assert FRONT_ENDS[kind].level_db is None
    assert np.array_equal(
        FRONT_ENDS["waveform16k"].at_level(audio), audio.astype(np.float32) / 32768
    )
