"""The mouths of a video's faces, measured as its frames come in."""

from __future__ import annotations

from synctool.faces.tracking import TrackedFrame
from synctool.features.mouth_motion import MouthMotion, MouthSeries
from synctool.measure.face_encoder import FrameCrops
from synctool.plugins.specs import VideoInput

CROP_PX = 72
"""Side of the grey mouth crop: the default network's, so that its crops are cut once."""
_WANTED = VideoInput(crop="mouth", size_px=CROP_PX, colour="gray")


class MouthWatch:
    """Measures the mouth of every face that is followed."""

    def __init__(self) -> None:
        self._faces: dict[int, MouthMotion] = {}

    def add(self, tracked: TrackedFrame, crops: FrameCrops) -> None:
        """Take the next frame."""
        for number, pose in tracked.poses.items():
            if number not in self._faces:
                self._faces[number] = MouthMotion(tracked.frame.index)
            self._faces[number].add(crops.cut(_WANTED, number, pose))

    def series(self) -> dict[int, MouthSeries]:
        """What was measured, by the faces' numbers."""
        return {number: face.series() for number, face in self._faces.items()}
