"""Where somebody speaks in the audio: the voice-activity network of Silero, as the samples come in.

The network comes with this package, see ``silero_onnx/README.md``, and runs in onnxruntime: 1.6 ms for a
second of audio.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from synctool.features.level import as_float
from synctool.onnxruntime_import import onnxruntime_module
from synctool.types import SAMPLES_PER_FRAME

SPEECH = 0.5
"""Probability from which a frame counts as speech: Silero's own default."""
_CHUNK = 512
_CONTEXT = 64


class VoiceActivity:
    """Probability of speech along audio of 16 kHz; the network remembers what it has heard."""

    def __init__(self) -> None:
        self._session = _session()
        self._memory = np.zeros((2, 1, 1, 128), np.float32)
        self._held = np.zeros(_CONTEXT, np.float32)
        self._samples = 0
        self._forgotten = 0
        self._found: list[np.ndarray] = []

    def add(self, samples: np.ndarray) -> None:
        """Take the next samples: int16, or float32 in -1..1, ``[N]``."""
        self._samples += samples.size
        self._held = np.concatenate([self._held, as_float(samples)])
        self._run()

    def finish(self) -> None:
        """Take the end of the audio as silence."""
        missing = -(self._held.size - _CONTEXT) % _CHUNK
        self._held = np.pad(self._held, (0, missing))
        self._run()

    def frames(self, count: int) -> np.ndarray:
        """Probability of speech in the middle of every 25 Hz frame of the audio.

        Args:
            count: T.

        Returns:
            float32 ``[T]`` in 0..1; 0 beyond the end of the audio.
        """
        return self.at(SAMPLES_PER_FRAME * np.arange(count) + SAMPLES_PER_FRAME // 2)

    def forget(self, sample: int) -> None:
        """Keep no probability of what lies before a sample: it is not asked for again."""
        known = np.concatenate([*self._found, np.zeros(0, np.float32)])
        old = min(max(sample // _CHUNK - 1 - self._forgotten, 0), known.size)
        self._found, self._forgotten = [known[old:]], self._forgotten + old

    def at(self, samples: np.ndarray) -> np.ndarray:
        """Probability of speech at samples ``[N]``, counted from the first: float32, 0 outside the audio."""
        probabilities = np.concatenate([*self._found, np.zeros(0, np.float32)])
        if not probabilities.size:
            return np.zeros(len(samples), np.float32)
        middles = _CHUNK * (self._forgotten + np.arange(probabilities.size)) + _CHUNK // 2
        inside = (samples >= 0) & (samples < self._samples)
        return np.where(inside, np.interp(samples, middles, probabilities), 0).astype(np.float32)

    def _run(self) -> None:
        count = (self._held.size - _CONTEXT) // _CHUNK
        if count < 1:
            return
        windows = np.lib.stride_tricks.sliding_window_view(self._held, _CONTEXT + _CHUNK)
        h, c = self._memory
        given = {"input": np.ascontiguousarray(windows[::_CHUNK]), "h": h, "c": c}
        probabilities, *memory = self._session.run(None, given)
        self._memory = np.stack(memory)
        self._found.append(probabilities)
        self._held = self._held[count * _CHUNK :]


def speech_probability(samples: np.ndarray, count: int) -> np.ndarray:
    """Probability of speech per 25 Hz frame of audio in memory: float32 ``[count]``.

    Args:
        samples: int16, or float32 in -1..1, ``[N]``, 16 kHz; the first one begins frame 0.
        count: Number of frames.
    """
    voice = VoiceActivity()
    voice.add(samples)
    voice.finish()
    return voice.frames(count)


@lru_cache(maxsize=1)
def _session() -> Any:
    """Its runs keep no state, so threads may share it."""
    onnxruntime = onnxruntime_module()
    # A file of this package itself, like its code; users cannot name another, so it is not checked.
    model = resources.files("synctool.features") / "silero_onnx" / "silero_vad.onnx"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the decoder and the model work on the same cores
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        model.read_bytes(), options, providers=["CPUExecutionProvider"]
    )
