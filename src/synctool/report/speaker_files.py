"""Who speaks when, for other programs: RTTM and WebVTT.

RTTM (Rich Transcription Time Marked, NIST, "RT-09 evaluation plan", appendix A) is what evaluations of
diarisation read: ``SPEAKER file channel begin duration <NA> <NA> name confidence <NA>``, one turn a line, in
seconds; turns may overlap. WebVTT (W3C) shows the names as captions in a player: a cue a turn, with the
name as its voice.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from html import escape

from synctool.report.outcome import Failure, Outcome
from synctool.report.stream import send
from synctool.report.text import printable
from synctool.report.wording import speaker_name
from synctool.types import DetectResult

NO_SPEAKER = "off-screen"
"""Name of an off-screen voice in RTTM, where names have no spaces."""
_NOT_IN_A_FIELD = re.compile(r"[\s;]+")


def write_rttm(outcomes: Iterable[Outcome], target: str | os.PathLike[str]) -> None:
    """Write the turns of all videos to a file, or for ``-`` to the standard output.

    Raises:
        OutputError: It cannot be written.
    """
    results = [outcome for outcome in outcomes if not isinstance(outcome, Failure)]
    send(target, to_rttm(results).encode("utf-8", "backslashreplace"))


def write_webvtt(result: DetectResult, target: str | os.PathLike[str]) -> None:
    """Write the turns of a video to a file, or for ``-`` to the standard output.

    Raises:
        OutputError: It cannot be written.
    """
    send(target, to_webvtt(result).encode("utf-8", "backslashreplace"))


def to_rttm(results: Sequence[DetectResult]) -> str:
    """The turns of videos whose speakers are known."""
    lines = []
    for result, name in zip(results, _file_names([result.input for result in results])):
        for turn in result.speakers or ():
            who = NO_SPEAKER if turn.track is None else f"face{turn.track}"
            length_s = turn.end_s - turn.start_s
            lines.append(
                f"SPEAKER {name} 1 {turn.start_s:.3f} {length_s:.3f} <NA> <NA> {who} "
                f"{turn.confidence:.3f} <NA>\n"
            )
    return "".join(lines)


def to_webvtt(result: DetectResult) -> str:
    """The turns of a video as captions; overlapping ones are shown together."""
    cues = []
    for turn in result.speakers or ():
        name = speaker_name(turn.track)
        times = f"{_stamp(turn.start_s)} --> {_stamp(turn.end_s)}"
        cues.append(f"{times}\n<v {escape(name, quote=False)}>{escape(name, quote=False)}\n")
    return "WEBVTT\n\n" + "\n".join(cues)


def _file_names(inputs: Sequence[str]) -> list[str]:
    """The name of each video without its folder, or of namesakes with it; no spaces, which divide fields."""
    short = [os.path.basename(name) or name for name in inputs]
    chosen = [one if short.count(one) == 1 else name for one, name in zip(short, inputs)]
    return [_NOT_IN_A_FIELD.sub("_", printable(name)) or "_" for name in chosen]


def _stamp(seconds: float) -> str:
    """``00:01:02.345``."""
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
