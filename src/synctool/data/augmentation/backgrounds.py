"""Recorded rooms, noises and music for training, from a folder of audio files.

The folder has the subfolders ``rir`` (impulse responses), ``noise`` and ``music``, each with mono or
multi-channel files of any rate that libsndfile reads; one may be missing. A file is read when it is
first drawn, and kept.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import scipy.fft
import scipy.signal

from synctool.errors import MissingError, SyncToolError
from synctool.types import AUDIO_HZ
from synctool.untrusted.origin import MalformedError
from synctool.untrusted.regular import check_regular

KINDS = ("rir", "noise", "music")
_SUFFIXES = {".flac", ".wav", ".ogg", ".opus", ".mp3", ".aiff"}
_LONGEST_S = 30.0
_RATES_HZ = (4_000, 384_000)
_MOST_CHANNELS = 64
_LONGEST_RIR_S = 1.5
_SHORT_RIR_S = 0.7
"""Rooms whose response has decayed by then are drawn more often: long ones are rare indoors."""
_DECAY = 1e-3  # 60 dB, as an amplitude


class Backgrounds:
    """Audio of a folder by kind, drawn by chance.

    Args:
        folder: Holds ``rir``, ``noise`` or ``music``.

    Raises:
        MissingError: There is no such folder, or no audio in it.
    """

    def __init__(self, folder: Path) -> None:
        self._files = {
            kind: sorted(p for p in (folder / kind).rglob("*") if p.suffix.lower() in _SUFFIXES)
            for kind in KINDS
        }
        if not any(self._files.values()):
            raise MissingError(
                f"{folder} holds no background audio",
                remedy="Give a folder with audio files in rir/, noise/ or music/.",
            )
        self._read: dict[Path, np.ndarray] = {}

    def draw(self, kind: str, rng: np.random.Generator) -> np.ndarray | None:
        """A waveform of a kind, float32 ``[N]`` at 16 kHz; None where the folder has none.

        An impulse response begins with its direct sound, which is 1, so that nothing is moved.

        Raises:
            SyncToolError: The file drawn cannot be read.
        """
        files = self._files[kind]
        if not files:
            return None
        audio = self._waveform(kind, files[int(rng.integers(len(files)))])
        if kind == "rir" and audio.size > _SHORT_RIR_S * AUDIO_HZ and rng.random() < 0.5:
            audio = self._waveform(kind, files[int(rng.integers(len(files)))])
        return audio

    def _waveform(self, kind: str, path: Path) -> np.ndarray:
        if path not in self._read:
            samples = _samples(path)
            self._read[path] = direct_first(samples) if kind == "rir" else samples
        return self._read[path]


def direct_first(response: np.ndarray) -> np.ndarray:
    """An impulse response from its direct sound on, which is brought to 1 and stands for itself alone.

    Args:
        response: float32 ``[N]``.

    Returns:
        float32 ``[M]``, at most 1.5 s.
    """
    peak = int(np.abs(response).argmax())
    part = response[peak : peak + int(_LONGEST_RIR_S * AUDIO_HZ)]
    if not part.size or not part[0]:
        return np.ones(1, np.float32)
    part = part / part[0]
    audible = np.flatnonzero(np.abs(part) > _DECAY)
    return np.ascontiguousarray(part[: audible[-1] + 1], np.float32)


def convolved(audio: np.ndarray, response: np.ndarray, level: float = 1.0) -> np.ndarray:
    """A waveform in a recorded room.

    Args:
        audio: float32 ``[N]``.
        response: Begins with the direct sound, which is 1.
        level: Amplitude of everything behind the direct sound.

    Returns:
        float32 ``[N]``.
    """
    shaped = response * np.float32(level)
    shaped[0] = 1.0
    size = scipy.fft.next_fast_len(audio.size + shaped.size - 1, real=True)
    one, other = (np.asarray(scipy.fft.rfft(x, size)) for x in (audio.astype(np.float32), shaped))
    return np.asarray(scipy.fft.irfft(one * other, size))[: audio.size].astype(np.float32)


def _samples(path: Path) -> np.ndarray:
    import soundfile

    try:
        check_regular(path)
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            if not _RATES_HZ[0] <= rate <= _RATES_HZ[1] or file.channels > _MOST_CHANNELS:
                raise MalformedError(f"it has {rate} Hz and {file.channels} channels")
            samples = file.read(int(_LONGEST_S * rate), dtype="float32", always_2d=True)[:, 0]
    except (
        OSError,
        RuntimeError,
        MalformedError,
    ) as error:  # libsndfile's own errors are RuntimeErrors
        raise SyncToolError(
            f"{path} cannot be read as audio: {error}", remedy="Fix or remove it."
        ) from error
    if rate != AUDIO_HZ:
        shared = math.gcd(rate, AUDIO_HZ)
        samples = scipy.signal.resample_poly(samples, AUDIO_HZ // shared, rate // shared)
    return np.ascontiguousarray(samples, np.float32)
