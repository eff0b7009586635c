"""One pass over a film with every frame that it has, at the time at which a player shows it.

``Film`` gives what networks see, one picture per 25 Hz tick. Here the frames come as they were stored,
at any rate, in planes of luma and chroma as encoders take them; times and sound are ``Film``'s own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import av

from synctool.media.film import Film
from synctool.media.pictures import Planes

_EPSILON_S = 1e-6
_RGB = 0


@dataclass(frozen=True)
class Frame:
    """One stored picture.

    Attributes:
        time_s: When it comes on screen, on the film's timeline.
        lasts_s: How long it stays, as far as the film tells.
        planes: What it shows: upright, with square pixels.
    """

    time_s: float
    lasts_s: float
    planes: Planes

    def changed(self, change: Callable[[Planes], Planes]) -> Frame:
        """The same moment with another picture."""
        return replace(self, planes=change(self.planes))


class FilmFrames(Film):
    """A film opened for one pass over its frames: used as ``Film`` is, but gives ``Frame`` objects.

    Frames that would come on screen before timeline 0, and those whose time runs backwards, are left
    out, as ``Film`` does.
    """

    _shown_s = -_EPSILON_S

    @property
    def colour_matrix(self) -> int | None:
        """How the planes stand for colours, as FFmpeg counts it; None where the film does not tell."""
        matrix = self._video.codec_context.colorspace
        return None if matrix == _RGB else int(matrix)

    def _show(self, frame: av.VideoFrame, time_s: float) -> None:
        if time_s <= self._shown_s:
            return
        self._shown_s = time_s
        self._put(Frame(max(time_s, 0.0), self._lasts_s(frame), self._reader.planes(frame)))
