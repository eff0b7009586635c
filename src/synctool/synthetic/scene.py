"""A video of talking faces before it is written: frames and audio at any times, and the true offset at each.

The lips are those of the speech at the frame's own time; the audio at ``t`` plays the speech of
``t + offset(t)``, so that an offset above 0 is audio that is ahead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from synctool.synthetic.face_layers import EYE_PX, LEFT, TOP, Look
from synctool.synthetic.mouth import MouthShapes, at_rest, mouth_shapes
from synctool.synthetic.phonemes import Utterance, utterance
from synctool.synthetic.talking_face import TalkingFace
from synctool.synthetic.voice import Throat, speak
from synctool.types import AUDIO_HZ

_THROATS = (Throat(112.0, 1.0), Throat(205.0, 0.86), Throat(135.0, 0.97), Throat(180.0, 0.9))
_AROUND_S = 2.0
"""Speech begins so long before what is heard, and ends so long after it."""
_STEP_S = 10.0
_TURN_S = 3.0
"""Of several faces each speaks for about so long."""
_BACKGROUNDS = ((96, 118, 140), (150, 128, 104), (92, 122, 96), (128, 104, 132))
_NOISE_MARGIN_PX = 64
_BLOCK_FRAMES = 100
_BLINK_S, _BLINKS_EVERY_S = 0.24, 3.4
_FACE_SHARE = 0.46
"""Height of a single face from the brow to the chin, as a share of the frame's."""


@dataclass(frozen=True)
class OffsetAt:
    """An offset from a time on.

    Attributes:
        start_s: From when.
        offset_ms: The offset then; above 0 the audio is ahead.
        drift_ms_per_min: By how much it grows in a minute.
    """

    start_s: float
    offset_ms: float
    drift_ms_per_min: float = 0.0


@dataclass(frozen=True)
class Scene:
    """What is to be seen and heard.

    Attributes:
        duration_s: Length.
        offsets: The true offsets, in the order of their times; the first holds from the start.
        faces: How many; they speak in turns.
        seed: Chooses faces, voices, words and movements.
        size_px: Width and height.
        cuts_s: Where the shot changes.
    """

    duration_s: float = 6.0
    offsets: tuple[OffsetAt, ...] = (OffsetAt(0.0, 0.0),)
    faces: int = 1
    seed: int = 0
    size_px: tuple[int, int] = (640, 360)
    cuts_s: tuple[float, ...] = ()

    def offset_ms(self, t: np.ndarray) -> np.ndarray:
        """The true offset at times ``[N]`` of the audio."""
        starts = np.array([o.start_s for o in self.offsets])
        index = np.clip(np.searchsorted(starts, t, "right") - 1, 0, len(starts) - 1)
        start = np.array([o.offset_ms for o in self.offsets])[index]
        slope = np.array([o.drift_ms_per_min for o in self.offsets])[index]
        return start + slope * (t - starts[index]) / 60


@dataclass(frozen=True)
class _Person:
    face: TalkingFace
    said: Utterance
    throat: Throat
    sway: np.ndarray
    turn: int


class Rendering:
    """Makes the frames and the audio of a scene.

    Args:
        scene: The scene.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        farthest_ms = np.abs(scene.offset_ms(np.linspace(0, scene.duration_s, 1000))).max()
        reach = float(farthest_ms) / 1000 + _AROUND_S
        # In whole steps, so that another offset is the same speech moved.
        self._span = -np.ceil(reach / _STEP_S) * _STEP_S, scene.duration_s + reach
        self._people = [self._person(number) for number in range(scene.faces)]
        rng = np.random.default_rng((scene.seed, 77))
        self._backgrounds = [
            _background(scene.size_px, scene.seed + shot, rng)
            for shot in range(len(scene.cuts_s) + 1)
        ]
        # Every frame has another part of one sheet of noise.
        width, height = (side + _NOISE_MARGIN_PX for side in scene.size_px)
        grey, coloured = (rng.normal(size=(height, width, count)) for count in (1, 3))
        noise = 1.6 * grey + 0.8 * coloured
        self._sensor = noise.astype(np.int16)

    def samples(self, start_s: float, count: int) -> np.ndarray:
        """The audio: float32 ``[count]`` at 16 kHz, from a time of the video on."""
        t = start_s + np.arange(count) / AUDIO_HZ
        speech_s = t + self._scene.offset_ms(t) / 1000
        mixed = np.zeros(count, np.float32)
        for number, person in enumerate(self._people):
            rng = np.random.default_rng((self._scene.seed, 5, number))
            own = speak(person.said, speech_s, person.throat, rng)
            mixed += own * self._speaking(person, speech_s)
        return mixed

    def frames(self, times_s: Sequence[float]) -> Iterator[np.ndarray]:
        """The images: uint8 ``[H, W, 3]`` RGB at times of the video."""
        rng = np.random.default_rng((self._scene.seed, 9))
        for begin in range(0, len(times_s), _BLOCK_FRAMES):
            t = np.asarray(times_s[begin : begin + _BLOCK_FRAMES], float)
            shapes = [self._shapes(person, t) for person in self._people]
            for index, time_s in enumerate(t):
                yield self._frame(shapes, index, float(time_s), rng)

    def _frame(
        self, shapes: Sequence[MouthShapes], index: int, time_s: float, rng: np.random.Generator
    ) -> np.ndarray:
        shot = int(np.searchsorted(self._scene.cuts_s, time_s, "right"))
        image = self._backgrounds[shot].copy()
        for number, person in enumerate(self._people):
            self._put(image, person, number, shapes[number], index, time_s, shot)
        top, left = rng.integers(0, _NOISE_MARGIN_PX, 2)
        noise = self._sensor[top : top + image.shape[0], left : left + image.shape[1]]
        return cv2.add(image, noise, dtype=cv2.CV_8U)

    def _person(self, number: int) -> _Person:
        rng = np.random.default_rng((self._scene.seed, 1, number))
        kind = self._scene.seed + number
        pace = float(rng.uniform(0.84, 0.98))
        return _Person(
            face=TalkingFace(Look.of(kind, rng), rng),
            said=utterance(*self._span, rng, pace=pace),
            throat=_THROATS[kind % len(_THROATS)],
            sway=np.stack([rng.uniform(0.08, 0.45, (4, 3)), rng.uniform(0, 6.28, (4, 3))]),
            turn=number,
        )

    def _speaking(self, person: _Person, speech_s: np.ndarray) -> np.ndarray:
        """Whether it is somebody's turn, softly from 0 to 1: ``[N]``."""
        count = len(self._people)
        if count == 1:
            return np.ones(len(speech_s))
        since = (speech_s / _TURN_S - person.turn) % count
        return np.clip(np.minimum(since, 1 - since) / 0.05, 0, 1)

    def _shapes(self, person: _Person, t: np.ndarray) -> MouthShapes:
        said, rest = mouth_shapes(person.said, t), at_rest(len(t))
        own = self._speaking(person, t)
        return MouthShapes(
            *(
                own * getattr(said, name) + (1 - own) * getattr(rest, name)
                for name in ("open", "spread", "pressed", "tucked")
            )
        )

    def _put(
        self,
        image: np.ndarray,
        person: _Person,
        number: int,
        shapes: MouthShapes,
        index: int,
        time_s: float,
        shot: int,
    ) -> None:
        """Draw somebody into a frame."""
        height, width = image.shape[:2]
        blink = (time_s + 1.3 * number + 0.7 * self._scene.seed) % _BLINKS_EVERY_S
        face, alpha = person.face.image(
            open=float(shapes.open[index]),
            spread=float(shapes.spread[index]),
            pressed=float(shapes.pressed[index]),
            tucked=float(shapes.tucked[index]),
            shut=float(np.clip(1.5 - abs(2 * blink / _BLINK_S - 1) * 1.5, 0, 1)),
        )
        share = width / len(self._people)
        unit = min(_FACE_SHARE * height / 2.3, 0.8 * share / 3.0) * (1.0, 0.82, 1.12)[shot % 3]
        rates, phases = person.sway
        wave = np.sin(6.28 * rates * time_s + phases).mean(1)
        turn = np.deg2rad(2.6 * wave[0])
        scale = unit / EYE_PX * (1 + 0.012 * wave[1])
        at_x = share * (number + 0.5) + unit * (0.10 * wave[2] + (0.0, 0.35, -0.3)[shot % 3])
        at_y = 0.44 * height + unit * 0.05 * wave[3]
        matrix = scale * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        origin = -np.array([LEFT, TOP]) * EYE_PX
        shift = np.array([at_x, at_y]) - matrix @ origin
        _paste(image, face, alpha, np.concatenate([matrix, shift[:, None]], 1), scale)


def _paste(
    image: np.ndarray, face: np.ndarray, alpha: np.ndarray, transform: np.ndarray, scale: float
) -> None:
    height, width = face.shape[:2]
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) @ transform[:, :2].T
    corners += transform[:, 2]
    left, top = np.maximum(np.floor(corners.min(0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(corners.max(0)), image.shape[1::-1]).astype(int)
    moved = transform.copy()
    moved[:, 2] -= left, top
    size = (int(right - left), int(bottom - top))
    method = cv2.INTER_LINEAR
    shown = cv2.warpAffine(face, moved, size, flags=method, borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.warpAffine(alpha, moved, size, flags=method)
    part = image[top:bottom, left:right]
    weight = cv2.merge([cover] * 3)
    behind = cv2.multiply(part, cv2.bitwise_not(weight), scale=1 / 255)
    part[:] = cv2.add(cv2.multiply(shown, weight, scale=1 / 255), behind)


def _background(size_px: tuple[int, int], number: int, rng: np.random.Generator) -> np.ndarray:
    """A room out of focus: uint8 ``[H, W, 3]``."""
    width, height = size_px
    base = np.array(_BACKGROUNDS[number % len(_BACKGROUNDS)], np.float32)
    small = np.zeros((height // 4, width // 4, 3), np.float32) + base
    for _ in range(14):
        middle = (int(rng.integers(0, width // 4)), int(rng.integers(0, height // 4)))
        tone = base * float(rng.uniform(0.5, 1.4))
        corner = (middle[0] + int(rng.integers(8, 40)), middle[1] + int(rng.integers(8, 50)))
        cv2.rectangle(small, middle, corner, tuple(map(float, tone)), -1)
    small = cv2.GaussianBlur(small, (0, 0), 5)
    fall = np.linspace(1.1, 0.75, small.shape[0], dtype=np.float32)[:, None, None]
    return cv2.resize(
        np.clip(small * fall, 0, 255).astype(np.uint8), size_px, interpolation=cv2.INTER_LINEAR
    )
