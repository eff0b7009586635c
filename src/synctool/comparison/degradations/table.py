"""The one table of perturbations: what each does, how hard, where it comes from; and how to ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from synctool.errors import UsageError
from synctool.settings.fields import did_you_mean

Kind = Literal["sound", "coding", "picture", "time"]
LEVELS = 5


@dataclass(frozen=True)
class Degradation:
    """One row of the table.

    Attributes:
        name: Name for ``--perturb``.
        kind: What it belongs to: ``sound``, ``coding``, ``picture`` or ``time``.
        unit: Of the levels.
        levels: What levels 1 to 5 are, mild to severe.
        summary: What it does, in one line.
        source: Paper, standard or model that it is taken from.
        changes: Which stream it changes.
    """

    name: str
    kind: Kind
    unit: str
    levels: tuple[float, ...]
    summary: str
    source: str
    changes: Literal["sound", "picture", "both"]

    def value(self, level: int) -> float:
        """What a level is, in ``unit``.

        Raises:
            UsageError: There is no such level.
        """
        if not 1 <= level <= len(self.levels):
            raise UsageError(
                f"{self.name} has no level {level}",
                remedy=f"Give 1 (mild) to {len(self.levels)} (severe).",
            )
        return self.levels[level - 1]


_SNR_DB = (20.0, 10.0, 5.0, 0.0, -5.0)
_MUSAN = "kind and range as in MUSAN: Snyder, Chen & Povey 2015; made up, no recording"
_H264, _H265 = "ITU-T H.264, by x264 (veryfast)", "ITU-T H.265, by x265 (ultrafast)"

_ROWS = (
    Degradation("noise", "sound", "dB", _SNR_DB,
                     "white noise, at this ratio of speech level to noise",
                     "speech level in the spirit of ITU-T P.56", "sound"),
    Degradation("pink-noise", "sound", "dB", _SNR_DB,
                     "noise that falls by 3 dB per octave, at this ratio",
                     "speech level in the spirit of ITU-T P.56", "sound"),
    Degradation("babble", "sound", "dB", _SNR_DB,
                     "six voices behind: the video's own speech, played backwards at other pitches",
                     "MUSAN mixes 3 to 7 voices: Snyder, Chen & Povey 2015", "sound"),
    Degradation("music", "sound", "dB", _SNR_DB,
                     "chords with a beat behind, at this ratio", _MUSAN, "sound"),
    Degradation("reverb", "sound", "s RT60", (0.2, 0.4, 0.7, 1.0, 1.5),
                     "a room: decaying noise behind the direct sound, the louder the longer it lasts",
                     "Polack's model of late reverberation, 1988", "sound"),
    Degradation("clipping", "sound", "dB over", (6.0, 12.0, 18.0, 24.0, 30.0),
                     "amplified so far beyond the loudest that can be stored, and cut off there",
                     "hard clipping", "sound"),
    Degradation("aac", "coding", "kbit/s", (48.0, 32.0, 24.0, 16.0, 8.0),
                     "the 16 kHz mono audio through AAC-LC", "ISO/IEC 14496-3, FFmpeg's encoder", "sound"),
    Degradation("opus", "coding", "kbit/s", (32.0, 24.0, 16.0, 10.0, 6.0),
                     "the 16 kHz mono audio through Opus", "RFC 6716, by libopus", "sound"),
    Degradation("mp3", "coding", "kbit/s", (64.0, 32.0, 24.0, 16.0, 8.0),
                     "the 16 kHz mono audio through MP3",
                     "ISO/IEC 13818-3 layer III, by LAME", "sound"),
    Degradation("h264", "coding", "crf", (23.0, 30.0, 36.0, 43.0, 51.0),
                     "the video through H.264 at this constant rate factor", _H264, "picture"),
    Degradation("h265", "coding", "crf", (26.0, 32.0, 38.0, 44.0, 51.0),
                     "the video through H.265 at this constant rate factor", _H265, "picture"),
    Degradation("resolution", "picture", "%", (75.0, 50.0, 35.0, 25.0, 15.0),
                     "made smaller: width and height as a share of the video's", "area averaging", "picture"),
    Degradation("blur", "picture", "% of short side", (0.2, 0.4, 0.8, 1.2, 1.6),
                     "out of focus: standard deviation of a Gaussian", "Gaussian blur", "picture"),
    Degradation("low-light", "picture", "stops", (1.0, 2.0, 3.0, 4.0, 5.0),
                     "exposed so much less, with the noise of the sensor left as strong as it is then",
                     "exposure through a display gamma of 2.2", "picture"),
    Degradation("mouth", "picture", "% of face width", (10.0, 20.0, 30.0, 45.0, 60.0),
                     "a grey box over the mouth of every face, this wide and two thirds as high",
                     "Cutout: DeVries & Taylor 2017, placed on the mouth", "picture"),
    Degradation("head", "picture", "% of face width", (20.0, 40.0, 60.0, 80.0, 100.0),
                     "the camera pans away and back every 2 s until this much of the face has left the frame",
                     "synctool", "picture"),
    Degradation("dropped", "time", "% of frames", (10.0, 25.0, 40.0, 55.0, 70.0),
                     "frames missing by chance; the others keep their times", "synctool", "picture"),
    Degradation("duplicated", "time", "% of frames", (10.0, 25.0, 40.0, 55.0, 70.0),
                     "frames by chance replaced by the one shown before; all times are kept",
                     "synctool", "picture"),
    Degradation("fps", "time", "fps", (60.0, 50.0, 30.0, 20.0, 15.0),
                     "another frame rate: each new frame shows the nearest old one", "synctool", "picture"),
    Degradation("faster", "time", "%", (102.0, 104.0, 106.0, 108.0, 110.0),
                     "video and audio played faster together; the pitch rises", "synctool", "both"),
    Degradation("slower", "time", "%", (98.0, 96.0, 94.0, 92.0, 90.0),
                     "video and audio played slower together; the pitch falls", "synctool", "both"),
)  # fmt: skip
DEGRADATIONS: Mapping[str, Degradation] = MappingProxyType({row.name: row for row in _ROWS})
"""All perturbations, by name, in the order in which they are shown."""
_GROUPS: Mapping[str, tuple[str, ...]] = {
    "all": tuple(DEGRADATIONS),
    **{
        kind: tuple(row.name for row in _ROWS if row.kind == kind)
        for kind in ("sound", "coding", "picture", "time")
    },
}
_REMEDY = (
    "Give names or groups, separated by commas, each with its levels if not all: "
    "noise, noise:3, picture:1-3, all:1+3+5."
)


def degradation(name: str) -> Degradation:
    """A row of the table by name.

    Raises:
        UsageError: There is none of this name.
    """
    try:
        return DEGRADATIONS[name]
    except KeyError:
        raise UsageError(
            f"no degradation {name!r}{did_you_mean(name, DEGRADATIONS)}",
            remedy=f"There are: {', '.join(DEGRADATIONS)}.",
        ) from None


def changes_audio_only(name: str) -> bool:
    """Whether a degradation leaves the video as it is.

    Raises:
        UsageError: There is none of this name.
    """
    return degradation(name).changes == "sound"


def offset_factor(name: str, level: int) -> float:
    """What the true offset is multiplied by.

    It is 1 unless video and audio are played faster or slower together, which makes everything
    shorter or longer in proportion, an offset between them too.

    Raises:
        UsageError: There is no such degradation or level.
    """
    row = degradation(name)
    value = row.value(level)
    return 100.0 / value if row.changes == "both" else 1.0


def parse_degradations(text: str) -> list[tuple[str, int]]:
    """Read which perturbations are wanted.

    Args:
        text: Names or groups (``all``, ``sound``, ``coding``, ``picture``, ``time``), separated by
            commas, each with its levels: ``noise:3``, ``noise:1-3``, ``all:1+3+5``; without, all five.

    Returns:
        Names and levels, each once, in the order of the table.

    Raises:
        UsageError: Naming every unknown name and wrong level at once; or nothing is asked for.
    """
    wanted: set[tuple[str, int]] = set()
    problems: list[str] = []
    for part in filter(None, (p.strip().lower() for p in text.split(","))):
        name, colon, levels = (p.strip() for p in part.partition(":"))
        names = _GROUPS.get(name) or ((name,) if name in DEGRADATIONS else ())
        if not names:
            near = did_you_mean(name, [*DEGRADATIONS, *_GROUPS])
            problems.append(f"no degradation {name!r}{near}")
            continue
        try:
            chosen = _levels(levels) if colon else range(1, LEVELS + 1)
        except ValueError:
            problems.append(f"{name} has no level {levels!r}, only 1 (mild) to {LEVELS} (severe)")
            continue
        wanted.update((row, level) for row in names for level in chosen)
    if problems:
        raise UsageError("; ".join(problems), remedy=_REMEDY)
    if not wanted:
        raise UsageError("no degradation is named", remedy=_REMEDY)
    place = {name: i for i, name in enumerate(DEGRADATIONS)}
    return sorted(wanted, key=lambda pair: (place[pair[0]], pair[1]))


def _levels(text: str) -> set[int]:
    found: set[int] = set()
    for part in text.split("+"):
        low, dash, high = part.partition("-")
        first, last = int(low), int(high) if dash else int(low)
        if not 1 <= first <= last <= LEVELS:
            raise ValueError(part)
        found.update(range(first, last + 1))
    return found
