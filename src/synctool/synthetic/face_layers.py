"""The parts of a drawn face that do not move: skin with light and shade, hair, eyes, neck and clothes.

The face is a height field that is lit, so that it has the shading of a photograph. Its unit is the distance
between the eyes, its origin the middle between them, as in ``synctool.faces.crops``.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

EYE_PX = 56
"""Pixels of a layer per unit."""
LEFT, TOP, RIGHT, BOTTOM = -2.1, -2.3, 2.1, 3.4
"""What the layers show."""
MOUTH_Y = 1.06
HALF_MOUTH = 0.40
CHIN_Y = 1.86
_SKINS = ((178, 132, 108), (205, 160, 135), (150, 104, 80), (222, 178, 155), (120, 82, 62))
_HAIRS = ((44, 32, 26), (74, 50, 34), (30, 28, 30), (112, 82, 54), (92, 88, 86))
_CLOTHES = ((44, 56, 86), (92, 40, 44), (52, 74, 60), (64, 62, 68), (120, 108, 92))


@dataclass(frozen=True)
class Look:
    """What somebody looks like.

    Attributes:
        skin, hair, clothes: RGB.
        width: Width of the head relative to the usual one.
        long_hair: Whether the hair covers the ears.
        lips: How much redder than the skin the lips are, 0..1.
    """

    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    clothes: tuple[int, int, int]
    width: float
    long_hair: bool
    lips: float

    @classmethod
    def of(cls, number: int, rng: np.random.Generator) -> Look:
        """Somebody; people of neighbouring numbers differ."""
        return cls(
            skin=_SKINS[number % len(_SKINS)],
            hair=_HAIRS[(number * 2 + 1) % len(_HAIRS)],
            clothes=_CLOTHES[(number * 3) % len(_CLOTHES)],
            width=float(rng.uniform(0.96, 1.05)),
            long_hair=bool(number % 2),
            lips=float(rng.uniform(0.5, 0.9)),
        )


def coordinates() -> tuple[np.ndarray, np.ndarray]:
    """x and y of every pixel of a layer: float32 ``[H, W]`` each."""
    x = np.arange(LEFT, RIGHT, 1 / EYE_PX, dtype=np.float32)
    y = np.arange(TOP, BOTTOM, 1 / EYE_PX, dtype=np.float32)
    return np.broadcast_to(x, (y.size, x.size)), np.broadcast_to(y[:, None], (y.size, x.size))


def portrait(look: Look, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A face with its mouth closed, its neck and shoulders.

    Returns:
        uint8 ``[2, H, W, 3]`` RGB, with the eyes open and shut; and uint8 ``[H, W]``, how much each pixel
        covers what is behind.
    """
    x, y = coordinates()
    head = _head(x, y, look.width)
    light = _light(x, y, head)
    grain = _grain(x.shape, rng)
    skin = np.array(look.skin, np.float32) * (1 + 0.05 * grain[..., None])
    flushed = _spot(x, y, 0.66, 0.55, 0.35, 0.3) + _spot(x, y, 0, 0.55, 0.2, 0.2)
    skin *= 1 - flushed[..., None] * np.array([0.0, 0.10, 0.10], np.float32)
    lips = _lips(x, y)[..., None]
    red = np.array(look.skin, np.float32) * (1 - look.lips * np.array([0.18, 0.45, 0.38]))
    skin = skin * (1 - lips) + lips * red * (1 + 0.06 * grain[..., None])
    line = _spot(x, y - lip_line(x), 0, MOUTH_Y, 0.34, 0.018) * (np.abs(x) < HALF_MOUTH)
    skin *= 1 - 0.65 * line[..., None]
    beard = _soft(1 - _ellipse(x, y, 0, 1.0, 0.5, 0.95)) * (y > 0.6)
    skin *= 1 - (0 if look.long_hair else 0.07) * beard[..., None]
    colour = skin * light[..., None]
    nostrils = _spot(x, y, 0.12, 0.63, 0.055, 0.035)
    colour *= 1 - 0.75 * np.clip(nostrils, 0, 1)[..., None]
    colour = _brows(colour, x, y, look, rng)
    open_eyes, closed_eyes = (
        _eyes(colour, x, y, light, shut=False),
        _eyes(colour, x, y, light, shut=True),
    )
    covers = _soft(head.inside)[..., None]
    tone, hair = _hair(x, y, look, rng), _hair_inside(x, y, look) + 0.035 * grain
    strands = _soft(0.5 * hair)[..., None]
    behind = _body(x, y, look, grain)
    ears = _soft(_ears(x, y, look))[..., None] * (not look.long_hair)
    behind = behind * (1 - ears) + np.array(look.skin, np.float32) * 0.72 * ears
    shown = [
        (behind * (1 - covers) + face * covers) * (1 - strands) + tone * strands
        for face in (open_eyes, closed_eyes)
    ]
    alpha = np.maximum.reduce([covers, ears, strands, _soft(_body_inside(x, y))[..., None]])[..., 0]
    return np.clip(np.stack(shown), 0, 255).astype(np.uint8), (alpha * 255).astype(np.uint8)


@dataclass(frozen=True)
class _Head:
    inside: np.ndarray
    height: np.ndarray


def _head(x: np.ndarray, y: np.ndarray, width: float) -> _Head:
    """The outline and the height field."""
    # Narrower from the cheeks to the chin.
    jaw = np.clip((y - 0.35) / (CHIN_Y - 0.35), 0, 1)
    half = 1.12 * width * (1 - 0.36 * jaw**1.8)
    middle = 0.02
    reach = np.where(y > middle, CHIN_Y - middle, 1.72 + middle)
    round_ = (np.abs(x) / half) ** 2.2 + (np.abs(y - middle) / reach) ** 2.4
    z = 1.25 * np.sqrt(np.clip(1 - round_, 0, 1))
    z = z + 0.20 * _ridge(x, y) + 0.17 * _spot(x, y, 0, 0.50, 0.13, 0.14)
    z = z + 0.09 * _spot(x, y, 0.17, 0.57, 0.08, 0.08)
    z = z - 0.16 * _spot(x, y, 0.5, 0.0, 0.26, 0.17) + 0.06 * _spot(x, y, 0.5, 0.02, 0.15, 0.11)
    z = z + 0.08 * _spot(x, y, 0.45, -0.32, 0.35, 0.10) + 0.07 * _spot(x, y, 0.68, 0.5, 0.28, 0.25)
    upper = _spot(x, y - lip_line(x), 0, MOUTH_Y - 0.07, 0.26, 0.06)
    lower = _spot(x, y, 0, MOUTH_Y + 0.11, 0.24, 0.075)
    z = z + 0.07 * _spot(x, y, 0, MOUTH_Y, 0.45, 0.28) + 0.06 * upper + 0.08 * lower
    z = z - 0.05 * _spot(x, y, 0, 1.37, 0.26, 0.06) + 0.08 * _spot(x, y, 0, 1.62, 0.24, 0.16)
    z = z - 0.03 * _spot(x, y, 0, 0.82, 0.05, 0.09)  # the groove above the lips
    z = z - 0.035 * _spot(x, y, 0.47, 0.93, 0.06, 0.2)  # the folds beside the nose
    return _Head(1 - round_, cv2.GaussianBlur(z.astype(np.float32), (0, 0), 0.015 * EYE_PX))


def _light(x: np.ndarray, y: np.ndarray, head: _Head) -> np.ndarray:
    """Brightness of every pixel, about 1 in full light."""
    step = EYE_PX
    dy, dx = np.gradient(head.height)
    normal = np.stack([-dx * step, -dy * step, np.ones_like(dx)], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    key = np.clip(normal @ _unit(-0.45, -0.55, 0.75), 0, 1)
    fill = np.clip(normal @ _unit(0.6, -0.1, 0.7), 0, 1)
    gloss = np.clip(normal @ _unit(-0.25, -0.35, 0.9), 0, 1) ** 30
    hollow = head.height - cv2.GaussianBlur(head.height, (0, 0), 0.16 * EYE_PX)
    return 0.28 + 0.66 * key + 0.26 * fill + 0.10 * gloss + np.clip(1.6 * hollow, -0.22, 0.08)


def _unit(*direction: float) -> np.ndarray:
    vector = np.array(direction, np.float32)
    return vector / np.linalg.norm(vector)


def _brows(
    colour: np.ndarray, x: np.ndarray, y: np.ndarray, look: Look, rng: np.random.Generator
) -> np.ndarray:
    side = np.abs(x)
    arch = -0.34 - 0.10 * np.cos((side - 0.52) * 3.4)
    thick = 0.055 * (1.2 - np.clip((side - 0.2) / 0.7, 0, 1))
    inside = _soft((thick - np.abs(y - arch)) * 8) * _soft((0.33 - np.abs(side - 0.53)) * 6)
    hairs = 0.8 + 0.35 * rng.random(x.shape, np.float32)
    dark = np.array(look.hair, np.float32)
    cover = np.clip(0.85 * inside * hairs, 0, 0.95)[..., None]
    return colour * (1 - cover) + dark * cover


def _eyes(
    colour: np.ndarray, x: np.ndarray, y: np.ndarray, light: np.ndarray, *, shut: bool
) -> np.ndarray:
    side = np.abs(x) - 0.5
    upper = -0.115 * np.clip(1 - (side / 0.25) ** 2, 0, 1) + 0.01
    lower = 0.075 * np.clip(1 - (side / 0.25) ** 2, 0, 1) + 0.01
    if shut:
        lash = _soft((0.022 - np.abs(y - lower)) * 40) * (np.abs(side) < 0.25)
        return colour * (1 - 0.75 * lash[..., None])
    inside = _soft(np.minimum(y - upper, lower - y) * EYE_PX * 0.7) * (np.abs(side) < 0.25)
    shade = (0.62 + 0.28 * np.clip((y - upper) / 0.12, 0, 1)) * np.clip(light, 0.7, 1.1)
    white = np.array([226, 218, 212], np.float32) * shade[..., None]
    radius = np.hypot(side, y + 0.015)
    iris = _soft((0.115 - radius) * EYE_PX)[..., None]
    pupil = _soft((0.05 - radius) * EYE_PX)[..., None]
    glint = _soft((0.03 - np.hypot(side + 0.04 * np.sign(x), y + 0.06)) * EYE_PX)[..., None]
    eye = white * (1 - iris) + np.array([84, 62, 44], np.float32) * iris
    eye = eye * (1 - pupil) + 14 * pupil
    eye = eye * (1 - glint) + 245 * glint
    shown = colour * (1 - inside[..., None]) + eye * inside[..., None]
    lash = _soft((0.02 - np.abs(y - upper + 0.008)) * 45) * (np.abs(side) < 0.27)
    crease = _soft((0.012 - np.abs(y - upper + 0.075)) * 60) * (np.abs(side) < 0.24)
    rim = _soft((0.010 - np.abs(y - lower - 0.005)) * 60) * (np.abs(side) < 0.24)
    return shown * (1 - np.clip(0.85 * lash + 0.25 * crease + 0.3 * rim, 0, 0.9))[..., None]


def _hair_inside(x: np.ndarray, y: np.ndarray, look: Look) -> np.ndarray:
    """Above 0 where hair is."""
    if look.long_hair:
        outer = _ellipse(x, y, 0, -0.12, 1.40 * look.width, 1.86) * 4
    else:
        outer = _ellipse(x, y, 0, -0.30, 1.22 * look.width, 1.58) * 4
    parting = x + 0.45
    hairline = -1.02 + 0.16 * np.abs(parting) ** 1.6 - 0.10 * np.exp(-((parting / 0.15) ** 2))
    temples = 0.93 * look.width - 0.05 * np.clip(y + 0.4, -1, 1)
    lowest = 1.55 - 0.5 * (np.abs(x) < 1.0) if look.long_hair else -0.10
    beside = np.minimum((np.abs(x) - temples) * 6, (lowest - y) * 4)
    return np.minimum(outer, np.maximum((hairline - y) * 6, beside))


def _hair(x: np.ndarray, y: np.ndarray, look: Look, rng: np.random.Generator) -> np.ndarray:
    """The colour of the hair: float32 ``[H, W, 3]``."""
    noise = rng.normal(size=x.shape).astype(np.float32)
    strands = _spread_one(cv2.GaussianBlur(noise, (0, 0), 0.7, sigmaY=14.0))
    locks = _spread_one(cv2.GaussianBlur(noise, (0, 0), 3.0, sigmaY=26.0))
    depth = np.sqrt(np.clip(1 - (x / 1.45) ** 2 - ((y + 0.15) / 1.95) ** 2, 0, 1))
    light = 0.45 + 0.75 * np.clip(depth - 0.25 * x - 0.2 * y * (y < 0) - 0.1, 0, 1)
    gloss = (
        0.35
        * np.exp(-(((np.hypot(x + 0.25, y + 0.35) - 1.05) / 0.16) ** 2))
        * np.clip(-2 * y - 0.4, 0, 1)
    )
    tone = (light + gloss) * (1 + 0.13 * strands + 0.10 * locks)
    return np.array(look.hair, np.float32) * tone[..., None] * 1.25


def _ears(x: np.ndarray, y: np.ndarray, look: Look) -> np.ndarray:
    """Above 0 where an ear is."""
    return _ellipse(np.abs(x), y, 1.10 * look.width, 0.22, 0.15, 0.34) * 3


def _body_inside(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    neck = np.minimum(0.66 + 0.25 * np.clip(y - 1.9, 0, 1) ** 2 - np.abs(x), y - 1.0) * 6
    slope = 2.18 + 0.28 * np.clip(np.abs(x) - 0.6, 0, None) ** 1.3
    return np.maximum(neck, (y - slope) * 6)


def _body(x: np.ndarray, y: np.ndarray, look: Look, grain: np.ndarray) -> np.ndarray:
    round_ = np.sqrt(np.clip(1 - (x / 0.95) ** 2, 0.05, 1))
    shadow = 0.45 + 0.35 * np.clip((y - 1.75) / 0.8, 0, 1)
    neck = np.array(look.skin, np.float32) * (round_ * shadow * (1 + 0.04 * grain))[..., None]
    folds = 0.85 + 0.1 * np.sin(3 * x + 2 * y) + 0.05 * grain - 0.12 * np.abs(x) / 2
    cloth = np.array(look.clothes, np.float32) * folds[..., None]
    slope = 2.18 + 0.28 * np.clip(np.abs(x) - 0.6, 0, None) ** 1.3
    collar = _soft((y - slope - 0.5 * np.clip(0.62 - np.abs(x), 0, 1)) * 8)[..., None]
    return neck * (1 - collar) + cloth * collar


def lip_line(x: np.ndarray) -> np.ndarray:
    """How much lower than at the corners the line between the lips is."""
    return 0.025 * np.cos(np.clip(x / HALF_MOUTH, -1, 1) * np.pi)


def _lips(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How much of each pixel is lip, 0..1."""
    across = np.clip(1 - (x / (HALF_MOUTH + 0.01)) ** 2, 0, 1)
    middle = MOUTH_Y + lip_line(x)
    bow = 0.025 * np.exp(-((x / 0.07) ** 2))
    upper = middle - (0.135 * across**0.8 - bow)
    lower = middle + 0.17 * across**0.7
    return _soft(np.minimum(y - upper, lower - y) * EYE_PX * 0.45) * (across > 0)


def _grain(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Pores and spots: float32 ``[H, W]`` of unit spread."""
    noise = rng.normal(size=shape).astype(np.float32)
    mixed = sum(
        weight * _spread_one(cv2.GaussianBlur(noise, (0, 0), sigma))
        for weight, sigma in ((0.5, 0.8), (0.5, 2.5), (0.7, 9.0))
    )
    return _spread_one(np.asarray(mixed, np.float32))


def _spread_one(image: np.ndarray) -> np.ndarray:
    return image / max(float(image.std()), 1e-6)


def _spot(
    x: np.ndarray, y: np.ndarray, at_x: float, at_y: float, wide: float, high: float
) -> np.ndarray:
    """A soft spot on both sides of the middle: 1 at its centre."""
    return np.exp(-(((np.abs(x) - at_x) / wide) ** 2) - ((y - at_y) / high) ** 2)


def _ridge(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The bridge of the nose."""
    along = np.clip((y + 0.15) / 0.65, 0, 1)
    return np.exp(-((x / (0.09 + 0.05 * along)) ** 2)) * along * np.clip((0.66 - y) / 0.1, 0, 1)


def _ellipse(
    x: np.ndarray, y: np.ndarray, at_x: float, at_y: float, wide: float, high: float
) -> np.ndarray:
    return 1 - np.sqrt(((x - at_x) / wide) ** 2 + ((y - at_y) / high) ** 2)


def _soft(signed: np.ndarray) -> np.ndarray:
    """0 outside, 1 inside, over a soft border, for something positive inside."""
    return np.clip(signed * 6 + 0.5, 0, 1).astype(np.float32)
