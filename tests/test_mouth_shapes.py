"""The tool that measures mouths: what it makes of landmarks."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

TOOL = Path(__file__).resolve().parent.parent / "tools" / "mouth_shapes.py"
POINTS = 478


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mouth_shapes", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def face(tool: ModuleType) -> np.ndarray:
    """A symmetric face: pairs of landmarks mirror each other at x = 0."""
    points = np.random.default_rng(0).normal(0, 1, (POINTS, 3))
    pairs = [*tool.MOVING, (33, 263), (133, 362), (127, 356), (234, 454), (93, 323), (98, 327)]
    for right, left in pairs:
        points[left] = points[right] * (-1, 1, 1)
        if right == left:
            points[right, 0] = 0
    for middle in (168, 6, 197, 195, 5, 4, 10, 151, 9, 8):
        points[middle, 0] = 0
    return points


def turned(points: np.ndarray, angle: float, scale: float, shift: tuple) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return points @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) * scale + shift


def test_place_size_and_turn_of_the_head_do_not_count(tool: ModuleType, face: np.ndarray) -> None:
    talking = face.copy()
    talking[14, 1] += 0.3
    moved = turned(talking, 0.4, 2.5, (30.0, -7.0, 4.0))
    shapes = [tool.symmetric(tool.upright(p, face)) for p in (talking, moved)]
    assert np.allclose(*shapes, atol=1e-5)
    still = tool.symmetric(tool.upright(face, face))
    assert np.abs(still[:-1]).max() < 1e-6
    assert np.abs(shapes[0] - still).max() > 0.02


def test_a_mirror_does_not_count(tool: ModuleType, face: np.ndarray) -> None:
    talking = face.copy()
    talking[61, 1] += 0.4  # one corner of the mouth alone
    mirrored = talking.copy()
    for right, left in tool.MOVING:
        mirrored[right], mirrored[left] = talking[left] * (-1, 1, 1), talking[right] * (-1, 1, 1)
    shapes = [tool.symmetric(tool.upright(p, face)) for p in (talking, mirrored)]
    assert np.allclose(*shapes, atol=1e-6)


def test_a_missing_face_is_not_known(tool: ModuleType, face: np.ndarray) -> None:
    lost = np.full_like(face, np.nan)
    assert np.isnan(tool.symmetric(tool.upright(lost, face))).all()


def test_components_have_unit_spread_within_clips(tool: ModuleType) -> None:
    rng = np.random.default_rng(1)
    mixing = rng.normal(0, 0.02, (3, 20))
    clips = {
        f"k{i}": rng.normal(0, 1, (50, 3)) @ mixing + rng.normal(0, 1, 20) * 0.01 for i in range(8)
    }
    clips["k3"][7] = np.nan
    out = tool.reduced(clips, values=3)
    assert {v.shape for v in out.values()} == {(50, 3)}
    assert np.isnan(out["k3"][7]).all() and np.isnan(out["k3"]).sum() == 3
    within = np.concatenate([v - np.nanmedian(v, 0) for v in out.values()])
    assert np.allclose(np.nanstd(within, 0), 1, atol=0.1)
