"""The sounds of speech: how each is voiced and what the lips do, and sentences made of them.

Formants are those of Peterson & Barney (1952) and Klatt (1980), rounded; names are those of ARPAbet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

CLOSED = frozenset({"P", "B", "M"})
"""Sounds that need the lips pressed together."""
TUCKED = frozenset({"F", "V"})
"""Sounds of the lower lip on the upper teeth."""
PAUSE = "-"
"""Silence between sentences, with the lips together."""


@dataclass(frozen=True)
class Phoneme:
    """A sound.

    Attributes:
        seconds: Usual length.
        formants_hz: The first three resonances of the vocal tract.
        voice: Level of the voice, 0..1.
        noise: Level of the noise, 0..1.
        noise_hz: Middle of the noise; 0 for breath, which takes the formants.
        stop_s: How much of the length is a closure that a burst of noise ends; 0 for none.
        open: How far the jaw is open, 0..1.
        spread: How wide the lips are, -1 rounded to 1 spread.
        weight: How much the sound minds the shape of the lips, 0..1.
    """

    seconds: float
    formants_hz: tuple[int, int, int]
    voice: float = 0.0
    noise: float = 0.0
    noise_hz: int = 0
    stop_s: float = 0.0
    open: float = 0.0
    spread: float = 0.0
    weight: float = 1.0


def _vowel(
    seconds: float, formants_hz: tuple[int, int, int], open: float, spread: float
) -> Phoneme:
    return Phoneme(seconds, formants_hz, voice=1.0, open=open, spread=spread)


PHONEMES = {
    "AA": _vowel(0.16, (730, 1090, 2440), 1.0, 0.1),
    "AE": _vowel(0.16, (660, 1720, 2410), 0.9, 0.4),
    "AH": _vowel(0.09, (640, 1190, 2390), 0.6, 0.0),
    "AO": _vowel(0.16, (570, 840, 2410), 0.8, -0.5),
    "EH": _vowel(0.13, (530, 1840, 2480), 0.65, 0.35),
    "ER": _vowel(0.13, (490, 1350, 1690), 0.4, -0.3),
    "EY": _vowel(0.15, (450, 2100, 2650), 0.5, 0.55),
    "IH": _vowel(0.10, (390, 1990, 2550), 0.4, 0.4),
    "IY": _vowel(0.13, (270, 2290, 3010), 0.3, 0.8),
    "OW": _vowel(0.16, (480, 900, 2400), 0.5, -0.75),
    "UH": _vowel(0.10, (440, 1020, 2240), 0.35, -0.5),
    "UW": _vowel(0.14, (300, 870, 2240), 0.25, -1.0),
    "M": Phoneme(0.085, (250, 1000, 2200), voice=0.3),
    "B": Phoneme(0.085, (220, 900, 2100), voice=0.12, noise=0.25, noise_hz=900, stop_s=0.075),
    "P": Phoneme(0.12, (300, 900, 2100), noise=0.5, noise_hz=1100, stop_s=0.08),
    "F": Phoneme(0.10, (300, 1100, 2100), noise=0.22, noise_hz=5500, open=0.1, spread=0.1),
    "V": Phoneme(0.07, (220, 1100, 2100), voice=0.3, noise=0.1, noise_hz=5500, open=0.1),
    "DH": Phoneme(0.05, (270, 1290, 2540), 0.35, 0.08, 5500, open=0.25, spread=0.15, weight=0.5),
    "T": Phoneme(0.09, (300, 1700, 2600), 0, 0.5, 4500, 0.05, 0.22, 0.2, 0.4),
    "D": Phoneme(0.06, (220, 1700, 2600), 0.12, 0.3, 4000, 0.045, 0.22, 0.2, 0.4),
    "N": Phoneme(0.07, (250, 1500, 2500), 0.35, open=0.25, spread=0.2, weight=0.4),
    "S": Phoneme(0.11, (320, 1700, 2600), 0, 0.6, 6200, open=0.18, spread=0.35, weight=0.7),
    "Z": Phoneme(0.08, (240, 1700, 2600), 0.25, 0.35, 6200, open=0.18, spread=0.35, weight=0.7),
    "SH": Phoneme(0.11, (300, 1800, 2600), 0, 0.6, 3200, open=0.25, spread=-0.6),
    "K": Phoneme(0.10, (300, 1900, 2500), 0, 0.5, 2200, 0.06, 0.3, 0.1, 0.2),
    "G": Phoneme(0.07, (220, 1900, 2500), 0.12, 0.3, 2000, 0.05, 0.3, 0.1, 0.2),
    "L": Phoneme(0.07, (360, 1300, 2700), 0.6, open=0.4, spread=0.15, weight=0.6),
    "R": Phoneme(0.08, (330, 1060, 1500), 0.6, open=0.3, spread=-0.5),
    "W": Phoneme(0.08, (290, 610, 2150), 0.6, open=0.12, spread=-1.0),
    "Y": Phoneme(0.06, (260, 2200, 3000), 0.6, open=0.25, spread=0.6),
    PAUSE: Phoneme(0.35, (450, 1400, 2500)),
}
"""By name."""

_WORDS = {
    "adjective": (
        "B IH G/B L UW/P EY L/W AO R M/F EY M AH S/P ER P AH L/W UH D AH N/S IH M P AH L/B R AA UW N/"
        "M EH L OW/S AO F T/F AA R AH W EY/N IH M B AH L/R UW M IY"
    ),
    "noun": (
        "B OW T/M UW N/M AE P/P AA IY P ER/F AA R M ER/B EH R/W IH N D OW/AE P AH L/P AH P IY/R IH V ER/"
        "S AH M ER/B EY K ER/L AE M P/F AE M AH L IY/M AA R B AH L/SH IY P/W UH M AH N/P AA UW D ER"
    ),
    "verb": (
        "M UW V D/B IH K EY M/F AA L OW D/B AO T/K EH P T/P AE S T/R IH M EH M B ER Z/F AA UW N D/"
        "B AA R OW D/W AO K S/P EH IY N T S/M EH ZH ER Z"
    ).replace("ZH", "Z"),
    "preposition": "B AA IY/AH B AH V/F R AH M/B IH L OW/B IH F AO R/AH P AA N",
}
"""Words by kind, with many closed lips."""
_SENTENCE = ("the", "adjective", "noun", "verb", "preposition", "the", "noun")


@dataclass(frozen=True)
class Utterance:
    """What is said, and when.

    Attributes:
        names: The sounds in their order.
        bounds_s: float64 ``[N + 1]``: where each begins, and the last ends.
    """

    names: tuple[str, ...]
    bounds_s: np.ndarray

    @property
    def sounds(self) -> tuple[Phoneme, ...]:
        """The sounds themselves."""
        return tuple(PHONEMES[name] for name in self.names)

    @property
    def releases_s(self) -> np.ndarray:
        """``[N]``: where the closure of a stop ends; the begin of any other sound."""
        lengths = np.diff(self.bounds_s)
        closed = self.attribute("stop_s") / self.attribute("seconds")
        return self.bounds_s[:-1] + closed * lengths

    def between(self, start_s: float, end_s: float) -> Utterance:
        """The sounds that reach into a time, at least one."""
        last = len(self.names) - 1
        low = int(np.clip(np.searchsorted(self.bounds_s, start_s, "right") - 1, 0, last))
        high = int(np.clip(np.searchsorted(self.bounds_s, end_s), low + 1, last + 1))
        return Utterance(self.names[low:high], self.bounds_s[low : high + 1])

    def attribute(self, name: str) -> np.ndarray:
        """An attribute of every sound: ``[N]`` or ``[N, 3]``."""
        return np.array([getattr(sound, name) for sound in self.sounds], float)


def utterance(
    start_s: float, end_s: float, rng: np.random.Generator, *, pace: float = 1.0
) -> Utterance:
    """Sentences at random that fill a time.

    Args:
        start_s: Where the first begins.
        end_s: Where the last ends; it is cut there.
        rng: What chooses words and lengths.
        pace: Speed relative to the usual one.
    """
    names, bounds = [], [start_s]
    for name in _endless(rng):
        usual = PHONEMES[name].seconds * float(rng.uniform(0.85, 1.2)) / pace
        names.append(name)
        bounds.append(min(bounds[-1] + usual, end_s))
        if bounds[-1] >= end_s:
            return Utterance(tuple(names), np.array(bounds))
    raise AssertionError("sentences never end")


def _endless(rng: np.random.Generator) -> Iterator[str]:
    while True:
        for kind in _SENTENCE:
            if kind == "the":
                yield from ("DH", "AH")
            else:
                yield from str(rng.choice(_WORDS[kind].split("/"))).split()
        yield PAUSE
