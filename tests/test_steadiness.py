"""Audio that cannot be speech: told by how little its level changes."""

from __future__ import annotations

import numpy as np
import pytest

from synctool.features.steadiness import LevelSpread
from videos import murmur

RATE = 16_000


def spread(samples: np.ndarray, *, size: int | None = None) -> LevelSpread:
    made = LevelSpread()
    for start in range(0, len(samples), size or len(samples)):
        made.add(samples[start : start + (size or len(samples))])
    return made


def noise(seconds: float, level: float = 0.1) -> np.ndarray:
    random = np.random.default_rng(0)
    return (level * random.standard_normal(round(seconds * RATE))).astype(np.float32)


def tone(seconds: float) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * 440 * t) * (1 + 0.2 * np.sin(t))).astype(np.float32)


@pytest.mark.parametrize("samples", [noise(5), noise(5, 1e-3), tone(5), np.zeros(5 * RATE)])
def test_noise_and_tones_are_steady(samples: np.ndarray) -> None:
    assert spread(samples).steady


@pytest.mark.parametrize("level", [1.0, 0.03])
def test_speech_is_not_whatever_its_level(level: float) -> None:
    random = np.random.default_rng(3)
    pauses = np.repeat(random.random(60) < 0.7, RATE // 10)
    samples = (level * murmur(6) * pauses).astype(np.float32)
    assert not spread(samples).steady
    assert spread(samples).db == pytest.approx(spread(murmur(6) * pauses).db, abs=1.5)


def test_pieces_of_any_size_and_kind_give_the_same() -> None:
    samples = murmur(4)
    whole = spread(samples).db
    assert spread(samples, size=777).db == whole
    as_int = np.round(samples * 32768).astype(np.int16)
    assert spread(as_int).db == pytest.approx(whole, abs=0.2)


def test_less_than_a_second_tells_nothing() -> None:
    made = spread(noise(0.9))
    assert made.db is None and not made.steady
