"""Who speaks when: at the video's offset, the faces whose lips match the audio while there is speech.

A face that speaks stands out at the offset of the video by the height of its scores above all other offsets;
one that listens, or moves its lips to other words, does not. How high a true match is, and how far chance
reaches, is measured on the video itself, so that it holds for any model. A Viterbi search over "nobody" and
the faces in view makes turns of it: a change costs, so that a moment of doubt is none (hysteresis). Which
frames are speech is told by a voice-activity network; speech that no lips match is an off-screen voice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import convolve1d
from scipy.special import expit

from synctool.scoring.rows import blocks, without_levels
from synctool.types import VIDEO_FPS

WINDOW_S = 1.0
"""Length of the Hann window over which scores are averaged."""
TOLERANCE_ROWS = 1
"""A face may match a frame beside the video's offset: microphones and cameras differ."""
PRIOR_ODDS = 2.0
"""Natural log-odds, before any evidence, that a face in view speaks rather than nobody in view."""
CHANGE_COST = 4.0
"""Natural log-odds that a change of the speaker needs."""
LEAST_TURN_S = 0.3
"""Shorter turns are left out."""
BESIDE_ODDS = 3.0
"""Natural log-odds from which a face speaks beside another that matches better."""
LEAST_OVERLAP_S = 0.6
"""Shorter speech beside another's is left out."""
LEAST_OFF_SCREEN_S = 1.0
"""Shorter speech that no lips match is not told."""
BRIDGED_S = 0.4
"""Pauses of one speaker up to this are part of the turn."""
_INDEPENDENT_FRAMES = 5.0
_MOST_ODDS = 20.0
_SPREAD_OF_MATCH = 0.4
_LEAST_NOISE = 0.125
_HIGH = 75
_NOBODY = -1


@dataclass(frozen=True)
class FaceVolume:
    """The scores of one face.

    Attributes:
        number: Its track number.
        start: Its first frame.
        volume: ``[2K+1, T]``, NaN outside the audio.
    """

    number: int
    start: int
    volume: np.ndarray


@dataclass(frozen=True)
class Turn:
    """Somebody speaks.

    Attributes:
        number: Track number of the face, None for an off-screen voice.
        start: First frame.
        stop: Frame after the last.
        confidence: Mean probability in 0..1 of its frames that this face speaks, or that none in view does.
        overlapping: Whether another face, which matches better, speaks at the same time.
    """

    number: int | None
    start: int
    stop: int
    confidence: float
    overlapping: bool = False


@dataclass(frozen=True)
class Activity:
    """Who speaks, frame by frame.

    Attributes:
        numbers: Track numbers, S of them.
        log_odds: Natural log-odds that each face speaks, float32 ``[S, frames]``; NaN where it is not in
            view.
        speech: Whether each frame is speech, bool ``[frames]``, on the time of the video.
        turns: The turns, in the order of time.
    """

    numbers: tuple[int, ...]
    log_odds: np.ndarray
    speech: np.ndarray
    turns: tuple[Turn, ...]


def find_turns(
    faces: Sequence[FaceVolume], offset_frames: np.ndarray, heard: np.ndarray
) -> Activity:
    """Find out who speaks when.

    Args:
        faces: The faces.
        offset_frames: The offset of the video at every frame, float ``[frames]``; > 0: audio ahead.
        heard: Whether there is speech at every frame of the audio, bool ``[frames]``.
    """
    frames = len(offset_frames)
    spoken = _at_video_time(heard, offset_frames)
    heights, noises = np.full((len(faces), frames), np.nan, np.float32), np.zeros(len(faces))
    in_view = np.zeros((len(faces), frames), bool)
    for i, face in enumerate(faces):
        own = slice(face.start, min(face.start + face.volume.shape[1], frames))
        volume = face.volume[:, : own.stop - own.start]
        heights[i, own], noises[i] = _heights(volume, offset_frames[own])
        in_view[i, own] = True
    log_odds = _log_odds(heights, noises, spoken)
    foremost = _foremost(log_odds, in_view, spoken)
    turns = [
        *_turns_of_faces([face.number for face in faces], log_odds, foremost, spoken),
        *_off_screen(log_odds, foremost, spoken),
    ]
    turns.sort(key=lambda turn: (turn.start, turn.overlapping, turn.stop))
    numbers = tuple(face.number for face in faces)
    return Activity(numbers, log_odds, spoken, tuple(turns))


def _at_video_time(heard: np.ndarray, offset_frames: np.ndarray) -> np.ndarray:
    """The same on the time of the video: audio that is ahead was heard before."""
    at = np.arange(len(offset_frames)) - np.round(offset_frames).astype(int)
    inside = (at >= 0) & (at < len(heard))
    spoken = np.zeros(len(at), bool)
    spoken[inside] = heard[at[inside]]
    return spoken


def _heights(volume: np.ndarray, offset_frames: np.ndarray) -> tuple[np.ndarray, float]:
    """Smoothed score at the offset above the mean of all offsets ``[T]``, and the spread of the others."""
    rows, frames = volume.shape
    radius = max(1, round(WINDOW_S * VIDEO_FPS / 2))
    weights = np.hanning(2 * radius + 3)[1:-1].astype(np.float32)
    at = np.clip(np.round(offset_frames).astype(int) + rows // 2, 0, rows - 1)
    heights, spreads = np.full(frames, np.nan, np.float32), []
    row = np.arange(rows)[:, None]
    for part in blocks(frames):
        low, high = max(part.start - radius, 0), min(part.stop + radius, frames)
        smooth = _smooth(without_levels(volume[:, low:high]), weights)
        smooth = smooth[:, part.start - low : part.stop - low]
        near = np.abs(row - at[part]) <= TOLERANCE_ROWS
        best = np.where(near & np.isfinite(smooth), smooth, -np.inf).max(axis=0)
        heights[part] = np.where(np.isfinite(best), best, np.nan)
        others = smooth[np.broadcast_to(~near, smooth.shape) & np.isfinite(smooth)]
        spreads.append((others.size, float((others.astype(np.float64) ** 2).sum())))
    count, squares = np.sum(spreads, axis=0) if spreads else (0, 0.0)
    return heights, float(np.sqrt(squares / count)) if count else 0.0


def _smooth(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted means along time, ``[R, T]``; NaN where there is no value."""
    valid = np.isfinite(values)
    sums = convolve1d(np.where(valid, values, np.float32(0)), weights, axis=1, mode="constant")
    filled = convolve1d(valid.astype(np.float32), weights, axis=1, mode="constant")
    return np.divide(sums, filled, out=np.full_like(sums, np.nan), where=valid & (filled > 0))


def _log_odds(heights: np.ndarray, noises: np.ndarray, spoken: np.ndarray) -> np.ndarray:
    """Natural log-odds that each face speaks: a match of the height usual here against chance."""
    known = np.where(np.isfinite(heights), heights, -np.inf).max(axis=0, initial=-np.inf)
    best = known[spoken & np.isfinite(known)]
    usual = float(np.percentile(best, _HIGH)) if best.size else 0.0
    if not usual > 0:
        return np.where(np.isfinite(heights), -_MOST_ODDS, np.nan).astype(np.float32)
    noise = np.maximum(noises, _LEAST_NOISE * usual)[:, None]
    spread = _SPREAD_OF_MATCH * usual
    height = np.clip(heights, 0.0, usual)
    odds = (
        np.log(noise / spread)
        - 0.5 * ((height - usual) / spread) ** 2
        + 0.5 * (height / noise) ** 2
    )
    return np.clip(odds, -_MOST_ODDS, _MOST_ODDS).astype(np.float32)


def _foremost(log_odds: np.ndarray, in_view: np.ndarray, spoken: np.ndarray) -> np.ndarray:
    """Viterbi: index of the face that speaks foremost at each frame ``[frames]``, or -1 for nobody in view.

    Frames without speech say nothing: whoever spoke keeps the turn.
    """
    count, frames = log_odds.shape
    if not count:
        return np.full(frames, _NOBODY)
    gains = np.where(spoken, np.nan_to_num(log_odds + PRIOR_ODDS), 0.0) / _INDEPENDENT_FRAMES
    gains = np.where(in_view, gains, -np.inf)
    came_from = np.empty((frames, count + 1), np.int16)  # the last state is nobody
    score, states = np.zeros(count + 1), np.arange(count + 1)
    for t in range(frames):
        top = int(score.argmax())
        changed = score[top] - CHANGE_COST
        stays = score >= changed
        came_from[t] = np.where(stays, states, top)
        score = np.where(stays, score, changed)
        score[:count] += gains[:, t]
    path = np.empty(frames, np.int64)
    state = int(score.argmax())
    for t in range(frames - 1, -1, -1):
        path[t] = state
        state = int(came_from[t, state])
    return np.where(path == count, _NOBODY, path)


def _turns_of_faces(
    numbers: Sequence[int], log_odds: np.ndarray, foremost: np.ndarray, spoken: np.ndarray
) -> Iterator[Turn]:
    for i, number in enumerate(numbers):
        sure = expit(log_odds[i])
        first = _runs(foremost == i, spoken)
        beside = _runs(
            (foremost != i) & (foremost != _NOBODY) & (log_odds[i] > BESIDE_ODDS), spoken
        )
        for runs, least_s, overlapping in (
            (first, LEAST_TURN_S, False),
            (beside, LEAST_OVERLAP_S, True),
        ):
            for start, stop in runs:
                if stop - start >= least_s * VIDEO_FPS:
                    confidence = _mean(sure[start:stop][spoken[start:stop]])
                    yield Turn(number, start, stop, confidence, overlapping)


def _off_screen(log_odds: np.ndarray, foremost: np.ndarray, spoken: np.ndarray) -> Iterator[Turn]:
    """Speech while no lips match it."""
    best = np.where(np.isfinite(log_odds), log_odds, -np.inf).max(axis=0, initial=-_MOST_ODDS)
    sure = 1 - expit(np.maximum(best, -_MOST_ODDS))
    for start, stop in _runs(foremost == _NOBODY, spoken):
        if stop - start >= LEAST_OFF_SCREEN_S * VIDEO_FPS:
            yield Turn(None, start, stop, _mean(sure[start:stop][spoken[start:stop]]))


def _runs(chosen: np.ndarray, spoken: np.ndarray) -> list[tuple[int, int]]:
    """Runs of speech in the chosen frames; pauses of up to ``BRIDGED_S`` within them are part of them."""
    runs: list[tuple[int, int]] = []
    for start, stop in _borders(chosen & spoken):
        gap = runs and start - runs[-1][1] <= BRIDGED_S * VIDEO_FPS
        if gap and chosen[runs[-1][1] : start].all():
            runs[-1] = (runs[-1][0], stop)
        else:
            runs.append((start, stop))
    return runs


def _borders(flags: np.ndarray) -> list[tuple[int, int]]:
    """First frame, and frame after the last, of every run of true."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist()))


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else 0.0
