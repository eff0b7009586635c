"""The one table of augmentations: what each does, how often, where it comes from; and how to change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from numbers import Real
from typing import Literal

from synctool.errors import UsageError
from synctool.settings.fields import did_you_mean
from synctool.settings.values import listed, name_and_value

Kind = Literal["picture", "sound", "bands", "windows"]
STRONGEST = 2.0


@dataclass(frozen=True)
class Augmentation:
    """One row of the table.

    Attributes:
        name: Name in settings.
        kind: ``picture``, ``sound`` (samples), ``bands`` (the log-mel spectrogram of the audio) or
            ``windows`` (two windows of a batch mixed).
        probability: Share of windows it happens to.
        summary: What it does.
        source: Paper, standard or model it is taken from, or "".
        ramped: Whether the overall strength of a run scales its probability.
    """

    name: str
    kind: Kind
    probability: float
    summary: str
    source: str = ""
    ramped: bool = True


_SPECAUGMENT = "SpecAugment: Park et al. 2019"

AUGMENTATIONS: tuple[Augmentation, ...] = (
    Augmentation("shift", "picture", 1.0, "the crop is taken a little off"),
    Augmentation("zoom", "picture", 1.0, "nearer or farther, a little wider or narrower"),
    Augmentation("turn", "picture", 1.0, "turned by a few degrees"),
    Augmentation("shear", "picture", 1.0, "slanted"),
    Augmentation("mirror", "picture", 0.5, "left and right exchanged", ramped=False),
    Augmentation("elastic", "picture", 0.6, "bent smoothly: another mouth",
                 "Simard, Steinkraus & Platt 2003, on a coarse grid"),
    Augmentation("drift", "picture", 1.0, "the crop slides over the window, as a tracker's does"),
    Augmentation("jitter", "picture", 1.0, "the crop shakes from frame to frame"),
    Augmentation("light", "picture", 1.0, "gamma, contrast, brightness"),
    Augmentation("lamps", "picture", 0.5, "smooth light from elsewhere"),
    Augmentation("shades", "picture", 0.4, "the broad shades of another person's face laid over",
                 "exchange of low frequencies as in Yang & Soatto 2020, with a Gaussian blur"),
    Augmentation("blur", "picture", 0.25, "out of focus"),
    Augmentation("resolution", "picture", 0.3, "made small and large again"),
    Augmentation("jpeg", "picture", 0.2, "each frame through JPEG of low quality"),
    Augmentation("video_codec", "picture", 0.03,
                 "key frames through JPEG, then only 8 px blocks that change; others stay as they were",
                 "modelled on H.264's skipped blocks; no motion search and no loop filter"),
    Augmentation("grain", "picture", 0.3, "noise of the sensor"),
    Augmentation("patch", "picture", 0.2, "a plain rectangle that stays",
                 "Random Erasing: Zhong et al. 2017; Cutout: DeVries & Taylor 2017"),
    Augmentation("moving_patch", "picture", 0.03, "a plain rectangle that passes"),
    Augmentation("hand", "picture", 0.03, "a blob with fingers that comes in and covers a part"),
    Augmentation("frame_drops", "picture", 0.1, "frames are lost, the one before is shown again"),
    Augmentation("time_jitter", "picture", 0.03,
                 "each frame up to half a frame early or late, by blending with its neighbour"),
    Augmentation("clean_sound", "sound", 0.15,
                 "the audio is left as recorded, whatever the other rows of audio say", ramped=False),
    Augmentation("reverb", "sound", 0.2, "a room: decaying noise behind the direct sound",
                 "Polack's statistical model of late reverberation, 1988"),
    Augmentation("babble", "sound", 0.25, "one to three other clips behind, at 0 to 20 dB",
                 "Snyder, Chen & Povey 2015 (MUSAN) for the kinds of noise"),
    Augmentation("music", "sound", 0.03,
                 "chords with a beat behind, at 0 to 25 dB; synthesised, no recording"),
    Augmentation("noise", "sound", 0.5, "noise from white to brown, at 0 to 35 dB"),
    Augmentation("band_limit", "sound", 0.15, "nothing above 2 to 7 kHz"),
    Augmentation("telephone", "sound", 0.03, "300 to 3,400 Hz only", "the band of ITU-T G.712"),
    Augmentation("clipping", "sound", 0.05, "peaks cut off"),
    Augmentation("codec", "sound", 0.02,
                 "through MP3, Vorbis, Opus or GSM at low rates, as far as libsndfile has them"),
    Augmentation("dropouts", "sound", 0.03, "one to four gaps of 5 to 60 ms"),
    Augmentation("gain", "sound", 1.0,
                 "24 dB softer to 6 dB louder; at most 6 dB either way where the level is normalized"),
    Augmentation("vocal_tract", "bands", 0.6, "bands stretched: another throat",
                 "Jaitly & Hinton 2013"),
    Augmentation("microphone", "bands", 0.6, "a smooth random curve over the bands"),
    Augmentation("band_masks", "bands", 0.4, "one or two ranges of bands blanked", _SPECAUGMENT),
    Augmentation("time_masks", "bands", 0.0, "one to three segments of 10 to 60 ms blanked",
                 _SPECAUGMENT),
    Augmentation("mixup", "windows", 0.0, "another window's mouth shines through, at most 40 %",
                 "Zhang et al. 2018, with the stronger one's label"),
    Augmentation("cutmix", "windows", 0.0, "a rectangle of another window, at most 40 %",
                 "Yun et al. 2019, with the larger one's label"),
    Augmentation("second_voice", "windows", 0.0, "another window's audio behind, at 0 to 15 dB"),
    Augmentation("recorded_room", "sound", 0.25,
                 "through a recorded impulse response from its direct sound on, with --backgrounds"),
    Augmentation("recorded_noise", "sound", 0.3,
                 "recorded noise behind, at -3 to 25 dB, with --backgrounds"),
    Augmentation("recorded_music", "sound", 0.12,
                 "recorded music behind, at -3 to 25 dB, with --backgrounds"),
    Augmentation("low_light", "picture", 0.0,
                 "a dark scene brightened by the camera: few levels, noise, a long exposure"),
    Augmentation("smoothing", "picture", 0.0,
                 "fine texture removed, edges kept, as phones and beauty filters do"),
    Augmentation("caption", "picture", 0.0,
                 "a line of words over a part of the crop that changes every 8 to 30 frames"),
    Augmentation("far_microphone", "sound", 0.0,
                 "a room stronger than the direct sound, at 0 to 8 dB, with the microphone's own noise"),
    Augmentation("automatic_gain", "sound", 0.0,
                 "pauses raised and loud syllables lowered, by at most 20 and 10 dB, as recorders do"),
    Augmentation("randaugment", "picture", 0.0,
                 "two of 14 operations at magnitude 9 of 30, or as --randaugment says, alike in all frames",
                 "RandAugment: Cubuk et al. 2020"),
)  # fmt: skip
"""All augmentations, in the order in which chance is drawn for them."""

_ROWS = {row.name: row for row in AUGMENTATIONS}
GROUPS: Mapping[str, frozenset[str]] = {
    "all": frozenset(_ROWS),
    **{
        kind: frozenset(row.name for row in AUGMENTATIONS if row.kind == kind)
        for kind in ("picture", "sound", "bands", "windows")
    },
}
"""Names that stand for several augmentations, to be switched on or off together."""
_REMEDY = "Give a probability (0.2), probability:strength (0.2:0.5), on or off."


@dataclass(frozen=True)
class Dose:
    """How often and how hard an augmentation acts.

    Attributes:
        name: Which.
        probability: Share of windows, 0..1.
        strength: Factor of its size; 0 changes nothing, 1 is usual, at most 2.
    """

    name: str
    probability: float
    strength: float = 1.0


@dataclass(frozen=True)
class AugmentSettings:
    """What is done to the windows; the table's defaults, but for the changes.

    Attributes:
        changes: Doses that differ from the table.
        policy: Number of operations and magnitude of ``randaugment``, 0..30.
    """

    changes: tuple[Dose, ...] = ()
    policy: tuple[int, int] = (2, 9)

    @classmethod
    def only(cls, *doses: Dose) -> AugmentSettings:
        """Nothing but these."""
        given = {dose.name for dose in doses}
        return cls((*(Dose(n, 0.0) for n in _ROWS if n not in given), *doses))

    def with_randaugment(self, operations: int, magnitude: int) -> AugmentSettings:
        """The same with RandAugment in every window, of the strength that the changes say."""
        strength = self.dose("randaugment").strength
        changes = (*self.changes, Dose("randaugment", 1.0, strength))
        return AugmentSettings(changes, (operations, magnitude))

    def dose(self, name: str) -> Dose:
        """The dose of an augmentation.

        Raises:
            KeyError: There is none of this name.
        """
        for dose in reversed(self.changes):
            if dose.name == name:
                return dose
        return Dose(name, _ROWS[name].probability)

    def as_dict(self) -> dict[str, str]:
        """Changes as ``parse_augment`` takes them, for a file about the run; empty for the table's."""
        kept = {dose.name: f"{dose.probability:g}:{dose.strength:g}" for dose in self.changes}
        return {name: kept[name] for name in sorted(kept)}


def parse_augment(given: Mapping[str, object] | str) -> AugmentSettings:
    """Read changes to the table.

    Args:
        given: By name a probability, a table of ``probability`` and ``strength``, or a text; or all of
            it as one text, ``"codec=0.2,noise=0.5:1.5,hand=off"``. A text is ``on``, ``off``,
            ``PROBABILITY`` or ``PROBABILITY:STRENGTH``; ``all``, ``picture``, ``sound``, ``bands`` and
            ``windows`` can be ``on`` or ``off``, and are read first: ``"sound=off,codec=1"``.

    Returns:
        The settings.

    Raises:
        UsageError: Naming every unknown name and wrong value at once.
    """
    changes: dict[str, Dose] = {}
    problems: list[str] = []
    items = _items(given, problems) if isinstance(given, str) else dict(given)
    for name in sorted(items, key=lambda n: (n not in GROUPS, n != "all")):
        if name not in _ROWS and name not in GROUPS:
            problems.append(f"no augmentation {name!r}{did_you_mean(name, [*_ROWS, *GROUPS])}")
            continue
        try:
            if name in GROUPS:
                on = _switch(items[name])
                for row in GROUPS[name]:
                    changes[row] = Dose(row, _ROWS[row].probability if on else 0.0)
            else:
                changes[name] = _dose(name, items[name])
        except ValueError as error:
            problems.append(f"{name}: {error}")
    if problems:
        listed = problems[0] if len(problems) == 1 else "\n  - ".join(["", *problems])
        raise UsageError(f"augmentations: {listed}", remedy=_REMEDY)
    return AugmentSettings(
        tuple(
            changes[n]
            for n in _ROWS
            if n in changes and changes[n] != Dose(n, _ROWS[n].probability)
        )
    )


def _items(text: str, problems: list[str]) -> dict[str, object]:
    items: dict[str, object] = {}
    for part in listed(text):
        name, value = name_and_value(part)
        if value is None:
            problems.append(f"{part!r} says a name and no value")
        elif name in items:
            problems.append(f"{name} is given twice")
        else:
            items[name] = value
    return items


def _switch(value: object) -> bool:
    word = value.strip().lower() if isinstance(value, str) else value
    if word in ("on", "off"):
        return word == "on"
    if isinstance(word, bool):
        return word
    raise ValueError(f"{value!r} is neither on nor off, which is all that a group can be")


def _dose(name: str, value: object) -> Dose:
    if isinstance(value, Mapping):
        unknown = [str(k) for k in value if k not in ("probability", "strength")]
        if unknown:
            near = did_you_mean(unknown[0], ["probability", "strength"])
            raise ValueError(f"it has no {unknown[0]!r}{near}")
        probability = value.get("probability", _ROWS[name].probability)
        return Dose(name, _number(probability, 1.0), _number(value.get("strength", 1), STRONGEST))
    try:
        return Dose(name, _usual(name) if _switch(value) else 0.0)
    except ValueError:
        pass
    probability, _, strength = str(value).partition(":")
    return Dose(name, _number(probability, 1.0), _number(strength or 1.0, STRONGEST))


def _usual(name: str) -> float:
    """What "on" means: the table's probability, and a tenth for what the table has off."""
    return _ROWS[name].probability or 0.1


def _number(value: object, most: float) -> float:
    try:
        number = float(value) if isinstance(value, str | Real) else None
    except ValueError:
        number = None
    if number is None or isinstance(value, bool) or not isfinite(number):
        raise ValueError(f"{value!r} is not a number")
    if not 0 <= number <= most:
        raise ValueError(f"{number:g} is out of range: 0 to {most:g}")
    return number
