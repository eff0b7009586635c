"""A face that moves: its mouth opened and shaped, its eyes blinking, as one image with what it covers."""

from __future__ import annotations

import cv2
import numpy as np

from synctool.synthetic.face_layers import (
    BOTTOM,
    CHIN_Y,
    EYE_PX,
    HALF_MOUTH,
    LEFT,
    MOUTH_Y,
    TOP,
    Look,
    coordinates,
    lip_line,
    portrait,
)

_WIDEST, _LOWEST = 1.25, 2.5
"""How far the jaw's movement reaches from the middle, and down."""
_HIGHEST = 0.45
_JAW = 0.25
"""How far the lower lip goes down in the widest opening."""
_RAISED = 0.07
_EYES = (-0.35, 0.3)
_HOLE = (0.56, 0.85, 1.65)
"""What lies between the lips is never wider, higher or lower."""


class TalkingFace:
    """Somebody whose mouth takes shapes.

    Args:
        look: What they look like.
        rng: What makes the texture.
    """

    def __init__(self, look: Look, rng: np.random.Generator) -> None:
        (self._open_eyes, self._shut_eyes), self._alpha = portrait(look, rng)
        x, y = coordinates()
        rows = slice(_row(_HIGHEST), _row(min(_LOWEST, BOTTOM)))
        columns = slice(_column(-_WIDEST), _column(_WIDEST))
        self._region = rows, columns
        self._x, self._y = x[rows, columns].copy(), y[rows, columns].copy()
        self._columns = self._x[0]
        wide, high, low = _HOLE
        rows_, columns_ = slice(_row(high), _row(low)), slice(_column(-wide), _column(wide))
        self._hole_region = rows_, columns_
        self._hole_x, self._hole_y = x[rows_, columns_].copy(), y[rows_, columns_].copy()
        inner = np.exp(-((np.abs(self._x) / 0.62) ** 4) - (np.abs(self._y - MOUTH_Y) / 0.42) ** 4)
        self._near_mouth = inner.astype(np.float32)
        beside = np.exp(-((np.abs(self._x) / 0.95) ** 4))
        fade = np.clip((2.35 - self._y) / (2.35 - CHIN_Y), 0, 1)
        self._jaw = (beside * fade).astype(np.float32)
        self._layer = np.dstack([self._open_eyes, self._alpha])[rows, columns].copy()

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self._alpha.shape[0], self._alpha.shape[1]

    def image(
        self, *, open: float, spread: float, pressed: float, tucked: float, shut: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """The face with a shape of the mouth.

        Args:
            open: See ``MouthShapes``.
            spread: Likewise.
            pressed: Likewise.
            tucked: Likewise.
            shut: How far the eyes are shut, 0..1.

        Returns:
            uint8 ``[H, W, 3]`` RGB and what it covers, uint8 ``[H, W]``.
        """
        rows, columns = self._region
        face, alpha = self._open_eyes.copy(), self._alpha.copy()
        if shut > 0:
            eyes = slice(_row(_EYES[0]), _row(_EYES[1]))
            face[eyes] = cv2.addWeighted(
                self._open_eyes[eyes], 1 - shut, self._shut_eyes[eyes], shut, 0
            )
        shown = self._lower_face(open, spread, pressed, tucked)
        face[rows, columns], alpha[rows, columns] = shown[..., :3], shown[..., 3]
        return face, alpha

    def _lower_face(self, open: float, spread: float, pressed: float, tucked: float) -> np.ndarray:
        x, y = self._x, self._y
        wide = 0.12 * spread if spread > 0 else 0.30 * spread
        half = HALF_MOUTH * (1 + wide + 0.04 * open)
        parted = (0.10 + 0.90 * open) * (1 - pressed)
        jaw = _JAW * open * (1 - 0.55 * pressed)
        across = np.clip(1 - (self._columns / half) ** 2, 0, 1) ** 0.6
        closed = MOUTH_Y + lip_line(self._columns * HALF_MOUTH / half)
        down = np.maximum(_JAW * parted * across, 0) * (1 - 0.55 * tucked)
        up = _RAISED * parted * across + 0.02 * tucked * across
        # Where the jaw is open behind pressed lips, the line between them is lower.
        line = closed + 0.4 * jaw * pressed * across
        upper, lower = line - up, line + down - 0.05 * tucked * across
        lower = np.maximum(lower, upper)
        above, below = np.maximum(upper - y, 0), np.maximum(y - lower, 0)
        in_upper, in_lower = np.exp(-((above / 0.33) ** 2)), np.exp(-((below / 0.30) ** 2))
        rounded = max(0.0, -spread)
        thick = 0.03 * rounded - 0.05 * pressed * (open > 0.02)
        bulge_up = thick * (above / 0.12) * np.exp(1 - above / 0.12)
        bulge_down = thick * (below / 0.14) * np.exp(1 - below / 0.14)
        moved_up = (upper - closed) * in_upper - bulge_up
        moved_down = (lower - closed) * in_lower + jaw * self._jaw * (1 - in_lower) + bulge_down
        moved = np.where(y < (upper + lower) / 2, moved_up, moved_down)
        source_x = x * (1 + (HALF_MOUTH / half - 1) * self._near_mouth)
        source_y = y - moved
        map_x = ((source_x - x[0, 0]) * EYE_PX).astype(np.float32)
        map_y = ((source_y - y[0, 0]) * EYE_PX).astype(np.float32)
        shown = cv2.remap(
            self._layer, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        if parted > 0.01 or tucked > 0.01:
            self._fill(shown, upper, lower, jaw, half)
        return shown

    def _fill(
        self, shown: np.ndarray, upper: np.ndarray, lower: np.ndarray, jaw: float, half: float
    ) -> None:
        """Put what lies between the lips into the lower face."""
        rows, columns = self._hole_region
        top, left = self._region[0].start, self._region[1].start
        part = shown[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        own = slice(columns.start - left, columns.stop - left)
        x, y, upper, lower = self._hole_x, self._hole_y, upper[own], lower[own]
        inside = np.clip(np.minimum(y - upper, lower - y) * EYE_PX, 0, 1)
        cover = (inside * np.clip((half - np.abs(x)) * EYE_PX, 0, 1))[..., None]
        part[..., :3] = (part[..., :3] * (1 - cover) + self._hole(upper, jaw, half) * cover).astype(
            np.uint8
        )

    def _hole(self, upper: np.ndarray, jaw: float, half: float) -> np.ndarray:
        """What shows between the lips: dark, the teeth, the tongue. The upper teeth belong to the skull."""
        x, y = self._hole_x, self._hole_y
        deep = np.clip((y - upper) / 0.30, 0, 1)
        shade = np.clip(1.0 - (x / (half * 1.02)) ** 2, 0, 1) ** 0.5
        colour = np.array([52, 20, 20], np.float32) * (1 - 0.45 * deep)[..., None]
        tongue = np.exp(-((x / 0.28) ** 4) - ((y - MOUTH_Y - jaw - 0.02) / 0.13) ** 2)
        colour = colour + tongue[..., None] * np.array([95, 42, 44], np.float32)
        gaps = 1 - 0.18 * np.exp(-((((x / 0.105) % 1) - 0.5) ** 2) / 0.004)
        top = np.clip((MOUTH_Y + 0.045 + 0.03 * (x / 0.3) ** 2 * -1 - y) * EYE_PX * 0.8, 0, 1)
        bottom = np.clip((y - MOUTH_Y - jaw - 0.0) * EYE_PX * 0.8, 0, 1)
        below_lip = 0.55 + 0.45 * np.clip((y - upper) / 0.06, 0, 1)
        enamel = np.array([222, 212, 196], np.float32) * (shade * gaps * below_lip)[..., None]
        cover = np.maximum(top, 0.7 * bottom)[..., None]
        return colour * (1 - cover) + 0.92 * enamel * cover


def _row(y: float) -> int:
    return round((y - TOP) * EYE_PX)


def _column(x: float) -> int:
    return round((x - LEFT) * EYE_PX)
