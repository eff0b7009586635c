"""How much of a video was not decoded: where packets come and no frames, and what is missing at the end."""

from __future__ import annotations

from collections import defaultdict

_NOTABLE_S = 1.0
_NOTABLE_FRAMES = 4
_LEAST_FED = 0.5
"""A gap between frames is a loss where the decoder got at least so much of what fills it."""


class Unread:
    """Counts what is lost of each kind of stream, ``video`` and ``audio``, in seconds."""

    def __init__(self) -> None:
        self._fed: dict[str, int] = defaultdict(int)
        self._last_s: dict[str, float] = {}
        self._within_s: dict[str, float] = defaultdict(float)
        self._after_s: dict[str, float] = defaultdict(float)

    def feed(self, kind: str) -> None:
        """A packet goes to the decoder."""
        self._fed[kind] += 1

    def got(self, kind: str, time_s: float, interval_s: float) -> None:
        """A frame came.

        Args:
            kind: Of which stream.
            time_s: Its time.
            interval_s: Usual time from frame to frame.
        """
        last_s, self._last_s[kind] = self._last_s.get(kind), time_s
        fed, self._fed[kind] = self._fed[kind], 0
        if last_s is None:
            return
        gap_s = time_s - last_s
        if gap_s > self._notable_s(interval_s) and fed * interval_s >= _LEAST_FED * gap_s:
            self._within_s[kind] += gap_s - interval_s

    def ended(self, kind: str, interval_s: float) -> None:
        """The stream has ended, and its decoder holds nothing any more."""
        lost_s = self._fed.pop(kind, 0) * interval_s
        if lost_s > self._notable_s(interval_s):
            self._after_s[kind] += lost_s

    def add(self, kind: str, seconds: float) -> None:
        """A part of a stream could not be read at all."""
        self._after_s[kind] += seconds

    def between(self, kind: str, seconds: float) -> None:
        """So much is known to be missing between frames."""
        self._within_s[kind] += seconds

    def at_least_after(self, kind: str, seconds: float) -> None:
        """So much is known to be missing after the last frame."""
        self._after_s[kind] = max(self._after_s[kind], seconds)

    @property
    def seconds(self) -> float:
        """What was lost of the stream that lost most."""
        kinds = {*self._within_s, *self._after_s}
        return max((self._within_s[kind] + self._after_s[kind] for kind in kinds), default=0.0)

    def share(self, *, video_s: float, audio_s: float) -> float:
        """Share of the video that was lost, 0..1.

        Args:
            video_s: Where the frames end.
            audio_s: Where the audio ends.
        """
        whole_s = max(video_s + self._after_s["video"], audio_s + self._after_s["audio"])
        return min(self.seconds / whole_s, 1.0) if whole_s > 0 else 0.0

    @staticmethod
    def _notable_s(interval_s: float) -> float:
        return max(_NOTABLE_S, _NOTABLE_FRAMES * interval_s)
