"""Measure the shape of the mouth in every frame with a landmark detector, as targets for training.

A network that sees few people learns the shape of their lips better when it is told, by a detector that has
seen many. The shapes are landmarks of MediaPipe's face mesh, brought upright and to one size by the
parts of the face that do not move in speech, made the same for a face and its mirror image, and reduced to
their principal components within clips.

    pip install "mediapipe<0.10.15"   # in an environment of its own: later ones come without the model
    python tools/mouth_shapes.py PROCESSED VIDEOS shapes.safetensors
    synctool train --data PROCESSED --targets shapes.safetensors ...

Videos with several faces get no shapes, as the detector's face may be another than the sample's.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from synctool.cores import usable_cores

VALUES = 12
STILL = (
    33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 10,
    151, 9, 8, 127, 356, 234, 454, 93, 323, 98, 327,
)  # fmt: skip
"""Landmarks round the eyes, on the nose, the forehead and the temples."""
MOVING = (
    (61, 291), (185, 409), (40, 270), (39, 269), (37, 267), (0, 0), (146, 375), (91, 321),
    (181, 405), (84, 314), (17, 17), (78, 308), (191, 415), (80, 310), (81, 311), (82, 312),
    (13, 13), (95, 324), (88, 318), (178, 402), (87, 317), (14, 14),
    (152, 152), (148, 377), (176, 400), (149, 378),
)  # fmt: skip
"""Landmarks of the lips and the chin, each right one with its left one."""
_LIPS = (13, 14)
_EYES = (33, 263)
_FARTHEST = 5.0


def upright(points: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Landmarks moved, turned and scaled so that the still ones lie best on a reference.

    Args:
        points: ``[478, 3]``.
        reference: ``[478, 3]``.

    Returns:
        ``[478, 3]``, less the reference, in widths between its outer corners of the eyes
        (Umeyama 1991). NaN if any point is.
    """
    if np.isnan(points).any():
        return np.full_like(points, np.nan)
    still, wanted = points[list(STILL)], reference[list(STILL)]
    centre, target = still.mean(0), wanted.mean(0)
    a, b = still - centre, wanted - target
    u, s, vt = np.linalg.svd(a.T @ b)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    scale = (s * sign).sum() / (a**2).sum()
    turned = (points - centre) @ (u * sign) @ vt * scale + target
    width = np.linalg.norm(np.subtract(*reference[list(_EYES)]))
    return (turned - reference) / width


def symmetric(points: np.ndarray) -> np.ndarray:
    """Numbers of the mouth that a mirror does not change.

    Args:
        points: ``[478, 3]``, of ``upright``; x grows to the right.
    """
    numbers = []
    for right, left in MOVING:
        a, b = points[right], points[left]
        if right != left:
            numbers.append((a[0] - b[0]) / 2)
        numbers += [(a[1] + b[1]) / 2, (a[2] + b[2]) / 2]
    opening = np.linalg.norm(np.subtract(*points[list(_LIPS)]))
    return np.array([*numbers, 3 * opening], np.float32)


def reduced(clips: dict[str, np.ndarray], values: int = VALUES) -> dict[str, np.ndarray]:
    """Principal components of the movement within clips, each of unit spread there.

    Args:
        clips: Numbers ``[T, M]`` by key, NaN where no face was found.
        values: How many components.

    Returns:
        float32 ``[T, values]`` by key.
    """
    centred = [c - np.nanmedian(c, 0) for c in clips.values() if not np.isnan(c).all()]
    moves = np.concatenate(centred)
    moves = np.clip(moves[~np.isnan(moves).any(1)], -0.5, 0.5)
    axes = np.linalg.svd(moves - moves.mean(0), full_matrices=False)[2][:values].T
    spread = (moves @ axes).std(0)
    mean = np.nanmean(np.concatenate(list(clips.values())), 0)
    return {
        key: np.clip((c - mean) @ axes / spread, -_FARTHEST, _FARTHEST).astype(np.float32)
        for key, c in clips.items()
    }


def landmarks(videos: Path, name: str) -> tuple[str, np.ndarray]:
    """Landmarks ``[T, 478, 3]`` in pixels of every tick of a video, NaN where no face was found."""
    import mediapipe

    from synctool.media.video_file import VideoFile

    found = []
    mesh = mediapipe.solutions.face_mesh.FaceMesh(
        refine_landmarks=True, min_detection_confidence=0.3, min_tracking_confidence=0.3
    )
    with mesh, VideoFile(videos / name, colour="rgb") as video:
        for frame in video:
            points = np.full((478, 3), np.nan, np.float32)
            if frame.colour is not None:
                height, width = frame.colour.shape[:2]
                faces = mesh.process(frame.colour).multi_face_landmarks
                if faces:
                    size = (width, height, width)
                    points[:] = [np.multiply((p.x, p.y, p.z), size) for p in faces[0].landmark]
            found.append(points)
    return name, np.stack(found)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("processed", type=Path)
    parser.add_argument("films", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=usable_cores())
    given = parser.parse_args()
    from rich.progress import track
    from safetensors.numpy import save_file

    from synctool.data.processed import Processed

    tracks = defaultdict(list)
    for _, info in Processed(given.processed).infos():
        tracks[info.video_path].append(info)
    names = [name for name, infos in tracks.items() if len({i.track for i in infos}) == 1]
    with ProcessPoolExecutor(given.workers) as pool:
        results: Iterable = pool.map(partial(landmarks, given.films), names, chunksize=8)
        videos = dict(track(results, "looking at faces", total=len(names)))
    means = [np.nanmean(f, 0) for f in videos.values() if not np.isnan(f).all()]
    reference = np.mean(means, 0)
    clips = {}
    for name, video in videos.items():
        shapes = np.stack([symmetric(upright(p, reference)) for p in video])
        for info in tracks[name]:
            clips[info.key] = shapes[info.first_tick : info.first_tick + info.num_frames]
    save_file(reduced(clips), given.out)
    known = np.mean([1 - np.isnan(c).any(1).mean() for c in clips.values()])
    print(f"{given.out}: {len(clips)} clips, {known:.1%} of their frames with a shape")


if __name__ == "__main__":
    main()
