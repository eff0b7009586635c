"""Audio of files: 16 kHz mono with 16 bits, of a length that is known before it is decoded."""

from __future__ import annotations

import io
import wave

import numpy as np

from synctool.types import AUDIO_HZ
from synctool.untrusted.origin import MalformedError

LONGEST = 600 * AUDIO_HZ
"""Most samples: ten minutes, while the longest clip that is stored has 20 s."""
_STREAM_INFO = 42


def flac_length(data: bytes) -> int:
    """Number of samples that the header of a FLAC file says, which must be 16 kHz mono; nothing is
    decoded.

    Raises:
        MalformedError: It is no such file.
    """
    if data[:4] != b"fLaC" or len(data) < _STREAM_INFO or data[4] & 0x7F:
        raise MalformedError("the audio is no FLAC file" if data else "the audio is empty")
    facts = int.from_bytes(data[18:26], "big")
    rate, channels = facts >> 44, (facts >> 41 & 0x7) + 1
    if (rate, channels) != (AUDIO_HZ, 1):
        raise MalformedError(f"the audio is not 16 kHz mono: {rate} Hz, {channels} channels")
    return facts & ((1 << 36) - 1)


def decode_flac(data: bytes) -> np.ndarray:
    """A FLAC file: int16 ``[N]``.

    Raises:
        MalformedError: It is damaged, another kind of audio, or too long.
    """
    length = flac_length(data)
    _check_length(length)
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            audio = file.read(length, dtype="int16")
    except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError) as error:
        raise MalformedError(f"the audio cannot be read: {error}") from error
    if audio.ndim != 1 or len(audio) != length:
        raise MalformedError(f"the audio has {len(audio)} samples, and its header says {length}")
    return audio


def decode_wav(data: bytes) -> np.ndarray:
    """A WAV file: int16 ``[N]``.

    Raises:
        MalformedError: It is damaged, another kind of audio, or too long.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, AUDIO_HZ):
                raise MalformedError("the audio is not 16 kHz mono with 16 bits")
            length = file.getnframes()
            _check_length(length)
            raw = file.readframes(length)
    except MalformedError:
        raise
    except Exception as error:  # the library raises whatever its damaged chunks lead to
        raise MalformedError(
            f"the audio cannot be read: {error or type(error).__name__}"
        ) from error
    if len(raw) != 2 * length:
        raise MalformedError(f"the audio has {len(raw) // 2} samples, and its header says {length}")
    return np.frombuffer(raw, "<i2")


def _check_length(length: int) -> None:
    if not 0 < length <= LONGEST:
        raise MalformedError(f"the audio says that it has {length:,} samples")
