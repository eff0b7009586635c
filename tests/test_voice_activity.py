"""Where somebody speaks in the audio."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from synctool.features.voice_activity import SPEECH, VoiceActivity, speech_probability
from synctool.media.video_file import VideoFile
from videos import murmur


def test_real_speech_is_speech_and_its_pauses_are_not(clips: Path) -> None:
    with VideoFile(clips / "example.avi") as video:
        for _ in video:
            pass
        samples = video.audio.pop(video.audio.end)
    found = speech_probability(samples, 318) >= SPEECH
    assert 0.6 < found.mean() < 0.9
    assert not found[125:140].any(), "the presenter pauses after five seconds"


def test_samples_may_come_in_any_parts() -> None:
    samples = (20_000 * murmur(3.0)).astype(np.int16)
    voice = VoiceActivity()
    for part in np.split(samples, [1, 700, 701, 20_000]):
        voice.add(part)
    voice.finish()
    np.testing.assert_allclose(voice.frames(75), speech_probability(samples, 75), atol=1e-6)


def test_noise_and_silence_are_no_speech() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(32_000)
    for samples in (np.zeros(32_000, np.float32), noise.astype(np.float32)):
        assert not (speech_probability(samples, 50) >= SPEECH).any()


def test_beyond_the_audio_nobody_speaks() -> None:
    assert speech_probability(np.zeros(0, np.int16), 4).tolist() == [0.0] * 4
    found = speech_probability((20_000 * murmur(1.0)).astype(np.int16), 60)
    assert found.shape == (60,) and not found[25:].any()
