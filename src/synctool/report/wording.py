"""What is said of a result, once, for terminal, pages, plots and CSV."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor

from synctool.report.text import (
    NOTHING,
    chosen_streams,
    clock,
    known,
    passed_over,
    plain,
    printable,
)
from synctool.scoring.verdict import (
    DIFFERENT_FRAMES,
    differing_offsets,
    drift_matters,
    in_words,
    sentence,
    sure_segments,
)
from synctool.types import FRAME_MS, DetectResult, OffsetSet, Trial


@dataclass(frozen=True)
class Figure:
    """A figure with its name and words that explain it; without a value the words stand for it."""

    name: str
    value: str
    unit: str = ""
    note: str = ""

    @property
    def line(self) -> str:
        """All but the name: ``97 % (share with a face)``."""
        if self.value == NOTHING:
            return self.note
        return f"{self.value} {self.unit}".rstrip() + (f" ({self.note})" if self.note else "")


OFF_SCREEN = "off-screen voice"
"""What speech is called that no lips in view match."""


def speaker_name(track: int | None) -> str:
    """A speaker: ``face 0``, ``off-screen voice``."""
    return OFF_SCREEN if track is None else f"face {track}"


def finding_and_advice(result: DetectResult) -> tuple[str, str]:
    """What was found, without the verdict, and what can be done about it."""
    first, *more = printable(sentence(result)).split("; ")
    first = first.removesuffix(f": {result.verdict}").removeprefix(f"{result.verdict}: ")
    return capital(first), capital("; ".join(more)) + ("." if more else "")


def remark(result: DetectResult) -> str:
    """What a list says of a video beside its offset: why there is no answer, or what else matters."""
    if result.reason:
        return result.reason
    return "; ".join([*sentence(result).split("; ")[1:], *result.source.warnings])


def trial_finding(trial: Trial) -> str:
    """What one model found in a video, in a line."""
    if trial.error is not None:
        return printable(trial.error)
    if trial.answered and trial.offset_frames is not None:
        words = in_words(trial.offset_frames * FRAME_MS)
        return f"audio {words}, confidence {trial.confidence:.2f}, {trial.verdict}"
    return f"inconclusive: {printable(trial.reason or 'the evidence does not carry an answer')}"


def named_cause(cause: str, video: str) -> str:
    """The cause of an error with the name of its video as it was given, which tells it from its namesakes."""
    name, base = printable(video), printable(os.path.basename(video))
    said = printable(cause)
    if name in said:
        return said
    # Not where it ends the name of another file: "out/talk.mp4 is there already".
    alone = re.compile(rf"(?<![\w/\\.-]){re.escape(base)}(?![\w-])")
    if base and alone.search(said):
        return alone.sub(lambda _: name, said, count=1)
    return f"{name}: {said}"


def capital(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def figures(result: DetectResult) -> list[Figure]:
    """The figures of a video, those that matter first."""
    note = "probability that the offset is right within a frame"
    if result.offset_frames is None:
        note = "of the best match, which is no answer" if result.coverage else "no face, no answer"
    shown = [_offset(result), Figure("confidence", plain(result.confidence, 2), "", note)]
    if result.offset_set is not None:
        shown.append(_set(result.offset_set))
    if result.audio_belongs is not None and result.coverage:
        note = "probability that the audio is this face's own"
        shown.append(Figure("own audio", plain(result.audio_belongs, 2), "", note))
    shown += [
        Figure("coverage", plain(100 * result.coverage, 0), "%", _covered(result)),
        _drift(result),
    ]
    name = result.backbone.partition(".")[0]
    scale = "as published" if name == "syncnet" else f"on the scale of {name}, not of SyncNet"
    for title, score, better in (
        ("LSE-C", result.syncnet_confidence, "higher"),
        ("LSE-D", result.min_distance, "lower"),
    ):
        if known(score):
            shown.append(Figure(title, plain(score, 3), "", f"{better} is better; {scale}"))
    return shown


def facts(result: DetectResult) -> Iterator[tuple[str, str]]:
    """What was measured, and with what: names and values."""
    source = result.source
    size = f"{source.width_px} × {source.height_px}"
    yield "video", f"{clock(source.duration_s)}, {size}, {source.video_fps:.6g} frames/s"
    yield "audio", f"{source.audio_hz} Hz"
    if source.video_start_s or source.audio_start_s:
        starts = plain(source.video_start_s, 3), plain(source.audio_start_s, 3)
        yield "starts", f"video at {starts[0]} s, audio at {starts[1]} s"
    if source.timecode:
        yield "timecode", source.timecode
    if streams := chosen_streams(source):
        yield "measured", streams
    for other in passed_over(source):
        yield "not measured", other
    if heard := result.audio_direction:
        yield "direction", f"{heard.verdict}: {heard.reason}"
    yield "model", f"{result.backbone} ({result.weights})"
    yield "searched", f"±{result.max_offset} frames of 40 ms"
    if speed := pace(result):
        yield "speed", speed
    yield "made with", f"synctool {result.synctool}"


def pace(result: DetectResult) -> str:
    """How long the measurement took, "" where that is not known."""
    total = result.timing_s.get("total", 0.0)
    if not total > 0:
        return ""
    return f"{result.source.duration_s / total:.3g} × real time ({total:.2f} s)"


def _set(found: OffsetSet) -> Figure:
    spans = " or ".join(span_words(span) for span in found.spans_ms)
    note = f"holds the true offset of {plain(100 * found.coverage, 0)} % of people"
    return Figure("offset within", spans, "ms", note)


def span_words(span_ms: tuple[float, float]) -> str:
    """A span of offsets in whole ms, rounded outwards: ``+80 to +160``."""
    low, high = floor(span_ms[0]), ceil(span_ms[1])
    return f"{plain(low, 0, sign=True)} to {plain(high, 0, sign=True)}"


def _offset(result: DetectResult) -> Figure:
    if result.offset_frames is None or result.offset_ms is None:
        return Figure("offset", NOTHING, "", "not known")
    frames = plain(result.offset_frames, 2, sign=True)
    note = f"audio {result.audio_is}, {frames} frames"
    if differing_offsets(result.segments):
        sure = [s.offset_frames for s in sure_segments(result.segments)]
        own = sum(abs(offset - result.offset_frames) <= DIFFERENT_FRAMES for offset in sure)
        note += f"; {own} of {len(sure)} segments"
    return Figure("offset", plain(result.offset_ms, 0, sign=True), "ms", note)


def _drift(result: DetectResult) -> Figure:
    if result.drift_ms_per_min is None:
        why = ": the video is too short" if result.coverage else ""
        return Figure("drift", NOTHING, "", f"not known{why}")
    value = plain(result.drift_ms_per_min, 1, sign=True)
    interval = result.drift_interval_ms_per_min
    if interval is None:
        least = "a frame or more" if drift_matters(result) else "less than a frame"
        return Figure("drift", value, "ms/min", f"{least} over the video")
    low, high = (plain(end, 1, sign=True) for end in interval)
    if not result.drift_ms_per_min:
        most = ceil(max(map(abs, interval)) * result.source.duration_s / 60)
        note = f"none seen; 95 % interval {low} to {high}: at most {most} ms over the video"
    else:
        least = "a frame or more" if drift_matters(result) else "less than a frame"
        note = f"95 % interval {low} to {high}; {least} over the video"
    return Figure("drift", value, "ms/min", note)


def _covered(result: DetectResult) -> str:
    """What the coverage is of, and what share of the video the verdict rests on."""
    share = result.verdict_coverage
    carried = f"; the verdict rests on {plain(100 * share, 0)} %" if share else ""
    return f"share with a face{carried}"
