"""Whether the streams of a video last as long as their headers say: frames lost or repeated move the rest.

Headers of AVI and MP4 give every stream its own length, and whole files keep to it within one frame. Frames
too many or too few in one stream alone put what follows out of sync with the other, and a player shows it so.
"""

from __future__ import annotations

from collections.abc import Mapping

from av.stream import Stream

from synctool.media.announced import AVI, counted_s

TOLERANCE_S = 0.06
"""Streams may differ from their headers by so much more than each other."""
_ROUNDING_S = 0.002
_FORMATS = {AVI, "mov,mp4,m4a,3gp,3g2,mj2"}
"""Others carry no lengths of streams; what FFmpeg gives for them is read off the timestamps."""


class Span:
    """How far one stream reaches, by its own timestamps.

    Args:
        stream: The stream, as it was opened.
    """

    def __init__(self, stream: Stream) -> None:
        self.header_s = _header_s(stream)
        self._of_samples = stream.container.format.name != AVI
        self._first_s: float | None = None
        self._end_s = 0.0
        self._longest_s = 0.0

    def add(self, own_s: float | None, lasts_s: float) -> None:
        """Take a decoded frame.

        Args:
            own_s: Its timestamp in seconds, None if it has none.
            lasts_s: Its duration in seconds.
        """
        if own_s is None:
            return
        self._longest_s = max(self._longest_s, lasts_s)
        if self._first_s is None:
            self._first_s, self._end_s = own_s, own_s + lasts_s
        self._first_s = min(self._first_s, own_s)
        self._end_s = max(self._end_s, own_s + lasts_s)

    @property
    def decoded_s(self) -> float:
        """From the first frame's start to the last one's end."""
        return self._end_s - (self._first_s or 0.0)

    @property
    def excess_s(self) -> float:
        """How much more was decoded than the header says; 0 where it does not say.

        A frame more or less is none: encoders fill the last one up, and some headers count it otherwise.
        """
        if self.header_s is None:
            return 0.0
        excess_s = self.decoded_s - self.header_s
        if (
            self._of_samples
        ):  # added up in the order of decoding, which may end earlier than frames do
            excess_s = min(excess_s, 0.0)
        return excess_s if abs(excess_s) > self._longest_s + _ROUNDING_S else 0.0


def contradiction(format_name: str, spans: Mapping[str, Span]) -> str | None:
    """What does not agree, in words; None if all does.

    A file that is merely cut off ends early in both streams, and what it still holds is in place.

    Args:
        format_name: FFmpeg's name of the container.
        spans: Of the streams read to their end, by their names in messages.
    """
    if format_name not in _FORMATS or len(spans) < 2:
        return None
    excesses_s = [span.excess_s for span in spans.values()]
    if max(excesses_s) < -TOLERANCE_S or max(excesses_s) - min(excesses_s) <= TOLERANCE_S:
        return None
    told = " and ".join(
        f"{span.decoded_s:.2f} s of {name} (header: {span.header_s:.2f} s)"
        for name, span in spans.items()
        if span.excess_s
    )
    return (
        f"the streams do not last as their headers say: {told}; frames were lost or repeated, or the "
        "header is wrong, and the offset may come from that"
    )


def _header_s(stream: Stream) -> float | None:
    """The length by the header; None for one that FFmpeg has only estimated.

    Of fragments it adds up what it has seen, and counts no frames. Of an AVI that is cut off it goes by the
    size of the file, and the count of frames is still the header's.
    """
    if not (stream.frames and stream.duration and stream.time_base):
        return None
    header_s = float(stream.duration * stream.time_base)
    in_frames_s = counted_s(stream)
    return None if in_frames_s and abs(in_frames_s - header_s) > TOLERANCE_S else header_s
