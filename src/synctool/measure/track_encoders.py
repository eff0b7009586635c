"""The faces of a film through one network or several: each gets the crops that it wants, and encodes
them as the film streams by. The stretch of road that ``detect`` and ``compare`` share."""

from __future__ import annotations

from concurrent.futures import Executor

import numpy as np

from synctool.faces.tracking import Pose, TrackedPicture
from synctool.measure.streams import FaceStream, crop_for
from synctool.measure.timing import Stopwatch
from synctool.media.pictures import Picture
from synctool.networks.loaded import LoadedModel
from synctool.plugins.specs import VideoInput


class Crops:
    """The crops of one picture; what two networks want alike is cut once.

    Args:
        picture: The picture.
        colour: Order of its colours, ``rgb`` or ``bgr``; None where it has none.
    """

    def __init__(self, picture: Picture, *, colour: str | None) -> None:
        self.picture = picture
        self._colour = colour
        self._cut: dict[tuple[int, str, int, bool], np.ndarray] = {}

    def cut(self, wanted: VideoInput, number: int, pose: Pose) -> np.ndarray:
        """uint8 ``[S, S]`` or ``[S, S, 3]`` of the face with that track number."""
        grey = wanted.colour == "gray"
        kind = (number, wanted.crop, wanted.size_px, grey)
        if kind not in self._cut:
            self._cut[kind] = crop_for(wanted, self.picture, pose)
        crop = self._cut[kind]
        return crop if grey or wanted.colour == self._colour else crop[..., ::-1]


class FacesSeen:
    """All faces of a film through one network.

    Args:
        model: The network.
        beside: Runs the network while the film goes on.
        watch: Told when time goes to pictures (``video``) instead of ``faces``.
    """

    def __init__(self, *, model: LoadedModel, beside: Executor, watch: Stopwatch) -> None:
        self._model = model
        self._beside = beside
        self._watch = watch
        self.faces: dict[int, FaceStream] = {}

    def add(self, tracked: TrackedPicture, crops: Crops) -> None:
        """Take the next picture, and encode the faces of which enough has come in."""
        for number, pose in tracked.poses.items():
            face = self.faces.get(number)
            if face is None:
                face = self.faces[number] = FaceStream(
                    runtime=self._model.runtime,
                    spec=self._model.spec,
                    first_tick=tracked.picture.index,
                    beside=self._beside,
                )
            crop = crops.cut(self._model.spec.video, number, pose)
            face.add(tracked.picture, pose, crop=crop)
            if face.ready:
                self._encode(face)

    def release(self, tracked: TrackedPicture) -> None:
        """Finish the faces that have gone: they do not come back under their number."""
        for number, face in self.faces.items():
            if number not in tracked.poses and face.waiting:
                self._encode(face, last=True)

    def finish(self) -> None:
        """Encode what is left, and wait for the network."""
        for face in self.faces.values():
            face.encode(last=True)
            face.embeddings()

    def _encode(self, face: FaceStream, *, last: bool = False) -> None:
        self._watch.now("video")
        face.encode(last=last)
        self._watch.now("faces")
