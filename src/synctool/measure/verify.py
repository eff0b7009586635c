"""``verify``: whether lips and voice of a video belong together, with what that rests on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from synctool.errors import EXIT_INCONCLUSIVE, EXIT_OK
from synctool.features.mouth_motion import MouthSeries
from synctool.measure.authenticity import spoken_faces
from synctool.measure.detect import Detector, DetectProgress
from synctool.measure.thumbnails import Thumbnail
from synctool.settings.verify import VerifySettings
from synctool.types import VERIFY_SCHEMA, VIDEO_FPS, Authenticity, DetectResult


@dataclass(frozen=True)
class Verification:
    """A video that was verified.

    Attributes:
        result: What was measured, with the authenticity.
        mouths: Opening and motion of each face's mouth, by its number.
        thumbnails: A few small images of the video, where they were asked for.
    """

    result: DetectResult
    mouths: Mapping[int, MouthSeries] = field(default_factory=dict)
    thumbnails: tuple[Thumbnail, ...] = ()

    @property
    def input(self) -> str:
        """The video as it was given."""
        return self.result.input

    @property
    def authenticity(self) -> Authenticity:
        """The verdict and its reasons."""
        found = self.result.authenticity
        assert found is not None  # a Detector always judges
        return found

    @property
    def exit_code(self) -> int:
        """0 with a verdict, 3 where nobody can tell."""
        return EXIT_INCONCLUSIVE if self.authenticity.verdict == "cannot tell" else EXIT_OK

    @property
    def foremost(self) -> int | None:
        """Number of the face with most speech, None where no face was judged."""
        return next((n for n in spoken_faces(self.authenticity) if n in self.mouths), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: that of ``detect`` in brief, the authenticity, the motion of the mouths."""
        told = self.result.to_dict()
        kept = ("input", "backbone", "weights", "synctool", "source", "offset_frames", "offset_ms")
        return {
            "schema": VERIFY_SCHEMA,
            **{key: told[key] for key in kept},
            "sync_verdict": told["verdict"],
            "sync_reason": told["reason"],
            **told["authenticity"],
            "mouths": [_mouth(number, series) for number, series in sorted(self.mouths.items())],
        }


def verify(
    path: str | os.PathLike[str],
    settings: VerifySettings | None = None,
    *,
    detector: Detector | None = None,
    thumbnails: bool = False,
    on_progress: Callable[[DetectProgress], None] | None = None,
    **changes: Any,
) -> Verification:
    """Say whether lips and voice of a video belong together. It is evidence, and no proof.

    Args:
        path: The video; also a ``file:`` URL, or ``-`` for the standard input.
        settings: How to measure; None for the defaults.
        detector: What measures, loaded already; else it is made from the settings.
        thumbnails: Whether to keep a few small images.
        on_progress: Called every second of video.
        changes: Settings by name that differ from ``settings``: see ``VerifySettings``.

    Raises:
        SyncToolError: See ``Detector`` and ``Detector.detect``.
    """
    made = detector or Detector(VerifySettings.of(settings, changes).measuring)
    images: list[Thumbnail] = []
    mouths: dict[int, MouthSeries] = {}
    result = made.detect(
        path,
        on_progress=on_progress,
        on_thumbnails=images.extend if thumbnails else None,
        on_mouths=mouths.update,
    )
    return Verification(result, mouths, tuple(images))


def _mouth(number: int, series: MouthSeries) -> dict[str, Any]:
    return {
        "track": number,
        "start_s": series.first_frame / VIDEO_FPS,
        "opening": [round(float(x), 3) for x in series.opening],
        "motion": [round(float(x), 4) for x in series.lips],
    }
