"""SyncNet's protocol, against a literal copy of what it says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import medfilt

from synctool.scoring.syncnet import pairwise_distances, syncnet_score

K = 7


def embeddings(frames: int, seed: int, size: int = 24) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((frames, size)).astype(np.float32)


def literal_protocol(video: np.ndarray, audio: np.ndarray) -> dict[str, np.ndarray]:
    """Frame by frame, with zeros round the audio; row i is audio index t + i - K."""
    padded = np.pad(audio.astype(float), ((K, K), (0, 0)))
    distances = np.array(
        [
            [np.sqrt(((video[t] - padded[t + i] + 1e-6) ** 2).sum()) for t in range(len(video))]
            for i in range(2 * K + 1)
        ]
    )
    means = distances.mean(axis=1)
    best = means.argmin()
    return {
        "distances": distances,
        "offset": K - best,
        "minimum": means.min(),
        "confidence": np.median(means) - means.min(),
        "per_frame": medfilt(np.median(means) - distances[best], 9),
    }


@pytest.mark.parametrize("frames", [300, 40])
def test_zero_padding_gives_the_published_numbers(frames: int) -> None:
    video, audio = embeddings(frames, 1), embeddings(frames, 2)
    audio[: frames - 4] += 0.7 * video[4:]  # the audio of frame t lies at t - 4
    expected = literal_protocol(video, audio)
    distances = pairwise_distances(video, audio, K, pad="zeros")
    np.testing.assert_allclose(distances, expected["distances"][::-1], rtol=1e-5)
    score = syncnet_score(distances)
    assert score.offset_frames == expected["offset"] == 4
    assert score.min_distance == pytest.approx(expected["minimum"], rel=1e-6)
    assert score.syncnet_confidence == pytest.approx(expected["confidence"], rel=1e-4)
    np.testing.assert_allclose(score.frame_confidence, expected["per_frame"], atol=1e-4)


def test_equal_embeddings_are_as_far_apart_as_in_torch() -> None:
    same = embeddings(3, 1, size=100)
    assert pairwise_distances(same, same, 0) == pytest.approx(1e-6 * np.sqrt(100), rel=1e-3)
    silent = pairwise_distances(np.zeros((3, 100)), np.zeros((0, 100)), 0, pad="zeros")
    assert silent == pytest.approx(1e-6 * np.sqrt(100), rel=1e-3)


@pytest.mark.parametrize("offset", [-5, 0, 5])
def test_early_audio_is_positive(offset: int) -> None:
    audio = embeddings(200, 3)
    image = np.roll(audio, offset, axis=0)  # the audio of video frame t lies at t - offset
    score = syncnet_score(pairwise_distances(image, audio, K))
    assert score.offset_frames == offset
    assert score.min_distance < 0.1


def test_nothing_is_compared_outside_the_audio() -> None:
    distances = pairwise_distances(embeddings(30, 1), embeddings(30, 2), K)
    t, offset = np.arange(30)[None], np.arange(-K, K + 1)[:, None]
    outside = (t - offset < 0) | (t - offset >= 30)
    np.testing.assert_array_equal(np.isnan(distances), outside)


@pytest.mark.parametrize("pad", ["nan", "zeros"])
def test_a_video_in_pieces_gives_the_same_distances(pad: str) -> None:
    video, audio = embeddings(700, 1), embeddings(690, 2)
    whole = pairwise_distances(video, audio, K, pad=pad)
    pieces = []
    for start in range(0, 700, 130):
        stop, first = min(start + 130, 700), max(0, start - K)
        piece = pairwise_distances(
            video[start:stop], audio[first : stop + K], K, first - start, pad=pad
        )
        pieces.append(piece)
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), whole)


def test_frames_without_a_face_are_left_out() -> None:
    audio = embeddings(200, 3)
    image = np.roll(audio, 2, axis=0)
    image[50:120] = np.nan
    score = syncnet_score(pairwise_distances(image, audio, K))
    assert score.offset_frames == 2
    np.testing.assert_array_equal(np.isnan(score.frame_confidence)[50:120], True)
    assert np.isfinite(score.frame_confidence[2:50]).all()


def test_a_row_of_few_frames_cannot_win() -> None:
    distances = np.full((2 * K + 1, 100), 10.0, dtype=np.float32)
    distances[3] = 8.0
    distances[0, 30:] = np.nan
    distances[0, :30] = 1.0
    assert syncnet_score(distances).offset_frames == 3 - K
    assert syncnet_score(distances, min_share=0.2).offset_frames == -K


def test_no_distance_no_score() -> None:
    assert syncnet_score(np.full((5, 10), np.nan, dtype=np.float32)) is None


def test_embeddings_must_be_of_one_size() -> None:
    with pytest.raises(ValueError, match="of one D"):
        pairwise_distances(embeddings(5, 1), embeddings(5, 1, size=3), K)
