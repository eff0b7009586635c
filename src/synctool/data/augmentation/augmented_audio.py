"""The audio of one window: a room, noise and voices about, a poor channel. Nothing moves in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.fft
import scipy.signal

from synctool.data.augmentation.backgrounds import Backgrounds, convolved
from synctool.data.augmentation.codec import through_codec
from synctool.data.augmentation.music import music
from synctool.data.augmentation.random_choices import Dice
from synctool.types import AUDIO_HZ

_NYQUIST_HZ = AUDIO_HZ / 2


def augment_audio(
    audio: np.ndarray,
    dice: Dice,
    *,
    voices: Callable[[], Sequence[np.ndarray]] | None = None,
    backgrounds: Backgrounds | None = None,
) -> np.ndarray:
    """Put speech into a room, among noise and other voices, through a poor channel.

    Args:
        audio: float32 ``[N]`` in -1..1.
        dice: What happens to this window.
        voices: Gives audio of other clips, of any length and scale, for babble; asked only then.
        backgrounds: Recorded rooms, noises and music.

    Returns:
        float32 ``[N]``; nothing is moved in time.
    """
    if dice.hit("clean_sound") or not audio.size:
        return audio
    room = dice.of("recorded_room") if backgrounds else None
    if backgrounds and room and (response := backgrounds.draw("rir", room)) is not None:
        audio = convolved(audio, response, room.uniform(0.3, 1.0) * dice.strength("recorded_room"))
    elif rng := dice.of("reverb"):
        audio = _reverberated(audio, rng, dice.strength("reverb"))
    if rng := dice.of("far_microphone"):
        audio = _from_afar(audio, rng, dice.strength("far_microphone"))
    if (rng := dice.of("babble")) and voices is not None:
        babble = [fitted(voice, audio.size, rng) for voice in voices() if voice.size]
        if babble:
            snr_db = rng.uniform(0, 20)
            audio = mixed(audio, np.asarray(sum(babble)), snr_db, dice.strength("babble"))
    if rng := dice.of("music"):
        snr_db = rng.uniform(0, 25)
        audio = mixed(audio, music(audio.size, rng), snr_db, dice.strength("music"))
    if rng := dice.of("noise"):
        snr_db = rng.uniform(0, 35)
        audio = mixed(audio, coloured_noise(audio.size, rng), snr_db, dice.strength("noise"))
    for kind in ("noise", "music") if backgrounds else ():
        name, rng = f"recorded_{kind}", dice.of(f"recorded_{kind}")
        if backgrounds and rng and (other := backgrounds.draw(kind, rng)) is not None:
            snr_db = rng.uniform(-3, 25)
            audio = mixed(audio, fitted(other, audio.size, rng), snr_db, dice.strength(name))
    return np.asarray(_through_channel(audio, dice), np.float32)


def with_gain(audio: np.ndarray, dice: Dice, *, leveled: bool) -> np.ndarray:
    """A waveform softer or louder; of one that was brought to one level, by as much as that may err."""
    rng = None if dice.hit("clean_sound") else dice.of("gain")
    if rng is None:
        return audio
    low, high = (-6, 6) if leveled else (-24, 6)
    return audio * np.float32(10 ** (rng.uniform(low, high) * dice.size("gain") / 20))


def _through_channel(audio: np.ndarray, dice: Dice) -> np.ndarray:
    if rng := dice.of("automatic_gain"):
        audio = automatic_gain(audio, rng, dice.strength("automatic_gain"))
    if rng := dice.of("band_limit"):
        cut = _NYQUIST_HZ - (_NYQUIST_HZ - rng.uniform(2000, 7000)) * dice.strength("band_limit")
        audio = _filtered(audio, np.clip(cut, 500, 7900), "lowpass")
    if dice.hit("telephone"):
        s = dice.strength("telephone")
        low, high = max(20.0, 300 * s), np.clip(_NYQUIST_HZ - 4600 * s, 1000, 7900)
        audio = _filtered(audio, (low, high), "bandpass")
    if rng := dice.of("clipping"):
        part = 1 - (1 - rng.uniform(0.2, 0.8)) * dice.strength("clipping")
        level = np.float32(np.abs(audio).max() * max(part, 0.02) + 1e-6)
        audio = np.clip(audio, -level, level)
    if rng := dice.of("codec"):
        audio = through_codec(audio, rng, dice.strength("codec"))
    if rng := dice.of("dropouts"):
        audio = _interrupted(audio, rng, dice.strength("dropouts"))
    return audio


def fitted(audio: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A segment of ``size`` samples from anywhere in a waveform, repeated where it is shorter: float32."""
    if audio.size <= size:
        audio = np.tile(audio, size // audio.size + 2)
    start = int(rng.integers(0, audio.size - size))
    return audio[start : start + size].astype(np.float32)


def mixed(audio: np.ndarray, other: np.ndarray, snr_db: float, strength: float = 1.0) -> np.ndarray:
    """A waveform with another behind it, so much weaker in power; ``strength`` scales its amplitude."""
    power, noise = np.mean(audio**2) + 1e-10, np.mean(other**2) + 1e-10
    return audio + other * np.float32(np.sqrt(power / noise / 10 ** (snr_db / 10)) * strength)


def room_tail(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """What a room adds behind the direct sound: noise that decays by 60 dB (Polack's model, 1988).

    Args:
        seconds: Until it has decayed, the reverberation time RT60.
        rng: Random generator.

    Returns:
        float32 ``[N]``, silent in the first 2 ms.
    """
    length = int(seconds * AUDIO_HZ)
    tail = rng.standard_normal(length, np.float32)
    tail *= np.exp(np.linspace(0, -6.9, length, endpoint=False, dtype=np.float32))
    tail[: AUDIO_HZ // 500] = 0
    return tail


def in_room(audio: np.ndarray, tail: np.ndarray, level: float) -> np.ndarray:
    """A waveform with a room's tail behind the untouched direct path.

    Args:
        audio: float32 ``[N]``.
        tail: Of ``room_tail``.
        level: Amplitude of the tail, all of it together, relative to the direct sound.

    Returns:
        float32 ``[N]``.
    """
    return convolved(audio, tail, float(level / (np.linalg.norm(tail) + 1e-9)))


def _reverberated(audio: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    tail = room_tail(rng.uniform(0.1, 0.7), rng)
    return in_room(audio, tail, 10 ** (rng.uniform(-15, 0) / 20) * strength)


def _from_afar(audio: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    tail = room_tail(rng.uniform(0.3, 1.0), rng)
    audio = in_room(audio, tail, 10 ** (rng.uniform(0, 8) / 20) * strength)
    noise = coloured_noise(audio.size, rng, slope=rng.uniform(0.2, 0.8))
    return mixed(audio, noise, rng.uniform(8, 25), strength)


def automatic_gain(audio: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Follow the level as the automatic gain of a recorder does: down at once, up slowly.

    Args:
        audio: float32 ``[N]``.
        rng: Random generator: the release time, 0.1 to 1 s, and the share of the correction, 0.4 to 1.
        strength: Factor of the correction.

    Returns:
        float32 ``[N]``: at most 20 dB louder and 10 dB softer than the mean level asks for.
    """
    step = AUDIO_HZ // 100
    count = -(-audio.size // step)
    if count < 2:
        return audio
    blocks = np.pad(audio, (0, count * step - audio.size)).reshape(count, step)
    level_db = 10 * np.log10(np.mean(blocks**2, axis=1) + 1e-10)
    kept = float(np.exp(-0.01 / rng.uniform(0.1, 1.0)))
    followed = np.empty(count)
    now = level_db.max()
    for i, value in enumerate(level_db):
        now = max(value, kept * now + (1 - kept) * value)
        followed[i] = now
    target_db = 10 * np.log10(np.mean(audio**2) + 1e-10)
    gain_db = np.clip((target_db - followed) * rng.uniform(0.4, 1.0) * strength, -10, 20)
    at = (np.arange(count) + 0.5) * step
    gain = np.interp(np.arange(audio.size), at, 10 ** (gain_db / 20))
    return (audio * gain).astype(np.float32)


def coloured_noise(
    size: int, rng: np.random.Generator, *, slope: float | None = None
) -> np.ndarray:
    """Noise whose amplitude falls with frequency.

    Args:
        size: Samples.
        rng: Random generator.
        slope: Exponent of the fall: 0 white, 0.5 pink, 1 brown; None draws one of 0 to 1.2.

    Returns:
        float32 ``[size]``, of any loudness.
    """
    # Drawn as a spectrum: one transform of a length that is quick, in single precision.
    whole: int = scipy.fft.next_fast_len(size, real=True)  # pyright: ignore[reportAssignmentType]
    parts = rng.standard_normal((2, whole // 2 + 1), np.float32)
    slope = rng.uniform(0, 1.2) if slope is None else slope
    parts *= np.maximum(np.arange(parts.shape[1], dtype=np.float32), 1) ** np.float32(-slope)
    return np.asarray(scipy.fft.irfft(parts[0] + 1j * parts[1], whole))[:size]


def _filtered(audio: np.ndarray, hz: float | tuple[float, float], kind: str) -> np.ndarray:
    sos = scipy.signal.butter(2, hz, kind, fs=AUDIO_HZ, output="sos")
    return np.asarray(scipy.signal.sosfilt(sos, audio), np.float32)


def _interrupted(audio: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    audio = audio.copy()
    for _ in range(int(rng.integers(1, 5))):
        length = int(rng.uniform(0.005, 0.060) * AUDIO_HZ * strength)
        begin = int(rng.integers(0, max(1, audio.size - length)))
        audio[begin : begin + length] = 0
    return audio
