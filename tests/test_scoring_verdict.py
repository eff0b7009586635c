"""Verdicts after ITU-R BT.1359-1, and sentences to act on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fake_results import inconclusive, made_result
from synctool.scoring.verdict import (
    Circumstances,
    Decision,
    decide,
    in_words,
    judge,
    sentence,
    wider_search,
    worst_ms,
)
from synctool.types import Segment


@pytest.mark.parametrize(
    ("offset_ms", "verdict"),
    [
        (0, "in sync"),
        (45, "in sync"),
        (45.4, "in sync"),
        (46, "detectable"),
        (90, "detectable"),
        (91, "unacceptable"),
        (-125, "in sync"),
        (-126, "detectable"),
        (-185, "detectable"),
        (-186, "unacceptable"),
    ],
)
def test_thresholds(offset_ms: float, verdict: str) -> None:
    assert judge(offset_ms) == verdict


AUDIO = {"confidence": 0.9, "max_offset": 15, "frames": 100}


WEAK = {"confidence": 0.1}


@pytest.mark.parametrize(
    ("more", "known", "code", "part"),
    [
        ({}, {"has_face": False}, "no_face", "no face was found"),
        (
            {},
            {"has_face": False, "other_videos": (1, 2)},
            "no_face",
            "no face was found in this video track: try --video-track 1 or 2",
        ),
        ({}, {"has_audio": False}, "no_speech", "the audio is silent"),
        (
            {"frames": 10},
            {},
            "too_short",
            "too short: 0.40 s of a talking face, and at least 0.60 s are needed",
        ),
        ({"frames": 0}, {}, "too_short", "no frame could be compared"),
        (
            {"at_edge": True, "confidence": 0.3},
            {"edge_confidence": 0.8},
            "out_of_range",
            "the best match lies at the edge of the searched range (±15 frames): "
            "search wider with --max-offset 40",
        ),
        (
            {"at_edge": True, "confidence": 0.002},
            {"edge_confidence": 0.002},
            "weak_evidence",
            "the evidence is weak: confidence 0.00",
        ),
        (
            WEAK,
            {"far_offset_frames": -40.2},
            "out_of_range",
            "a match outside the searched range (±15 frames) is clear, with the audio 1608 ms behind: "
            "search wider with --max-offset 55",
        ),
        (
            WEAK,
            {"audio_starts_late_s": 1.6},
            "out_of_range",
            "the audio starts 1.60 s later than the video by the file's own times, which is more than "
            "the searched range (±15 frames): search wider with --max-offset 50",
        ),
        (
            WEAK,
            {"audio_starts_late_s": -1.6, "far_offset_frames": 40.0},
            "out_of_range",
            "(the video starts 1.60 s later than the audio by the file's own times)",
        ),
        (
            WEAK,
            {"audio_starts_late_s": 0.5},
            "weak_evidence",
            "the evidence is weak: confidence 0.10",
        ),
        (
            {},
            {"belongs": 0.81, "least_belongs": 0.9},
            "audio_from_elsewhere",
            "the audio may not be this face's own: probability 0.81 that it is, and at least 0.90 is needed",
        ),
        (
            WEAK,
            {"belongs": 0.1, "least_belongs": 0.9},
            "weak_evidence",
            "the evidence is weak: confidence 0.10",
        ),
        (WEAK, {"steady": True}, "no_speech", "no speech was found in the audio"),
        (
            WEAK,
            {"face_px": 22.0},
            "face_too_small",
            "the face is too small: 22 px high, and about 40 are needed",
        ),
        (WEAK, {"face_px": 120.0}, "weak_evidence", "the evidence is weak"),
        (WEAK, {"contradictory": True}, "audio_from_elsewhere", "segments contradict each other"),
        (
            WEAK,
            {},
            "weak_evidence",
            "the audio is perhaps from elsewhere (a voice-over, dubbing), or nobody in view",
        ),
        (
            {"confidence": 0.31},
            {},
            "weak_evidence",
            "the evidence is weak: confidence 0.31, and at least 0.50",
        ),
        ({"confidence": float("nan")}, {}, "weak_evidence", "the evidence is weak"),
        (WEAK, {"speech_s": 0.0}, "no_speech", "nobody speaks while a face is visible"),
        (
            WEAK,
            {"speech_s": 0.2, "speech_elsewhere_s": 4.0},
            "no_speech",
            "there is 0.20 s of speech while a face is visible, and at least 0.60 s are needed; there are "
            "4.0 s of speech without a face",
        ),
        (WEAK, {"speech_s": 0.0, "audio_starts_late_s": 1.6}, "no_speech", "nobody speaks"),
        (WEAK, {"speech_s": 0.0, "far_offset_frames": 40.0}, "out_of_range", "is clear"),
        (
            {"at_edge": True, "confidence": 0.002},
            {"edge_confidence": 0.002, "speech_s": 0.0},
            "no_speech",
            "nobody speaks",
        ),
        (
            WEAK,
            {"eyes_apart": 0.3, "speech_s": 9.0},
            "face_turned_away",
            "the face is turned aside",
        ),
        (WEAK, {"eyes_apart": 0.3, "speech_s": 0.0}, "no_speech", "nobody speaks"),
        (WEAK, {"speech_s": 4.0}, "audio_from_elsewhere", "there are 4.0 s of speech"),
        (WEAK, {"speech_s": 2.0}, "weak_evidence", "the evidence is weak: confidence 0.10"),
        ({"confidence": 0.31}, {"speech_s": 4.0}, "weak_evidence", "the evidence is weak"),
    ],
)
def test_what_carries_no_answer_names_its_cause(
    more: dict[str, Any], known: dict[str, Any], code: str, part: str
) -> None:
    decision = decide(3.0, **{**AUDIO, **more}, circumstances=Circumstances(**known))
    assert (decision.verdict, decision.code) == ("inconclusive", code)
    assert part in decision.reason


@pytest.mark.parametrize("more", [{"at_edge": True, "confidence": 0.002}, {"confidence": 0.1}])
def test_weak_evidence_gives_no_advice_to_search_wider(more: dict[str, Any]) -> None:
    assert "--max-offset" not in decide(3.0, **{**AUDIO, **more}).reason


def test_too_little_to_tell_where_the_audio_is_from() -> None:
    assert "elsewhere" not in decide(3.0, **{**AUDIO, **WEAK, "frames": 40}).reason
    assert "elsewhere" not in decide(3.0, **{**AUDIO, "confidence": 0.45}).reason


@pytest.mark.parametrize(("offset", "wide"), [(16, 30), (-40.1, 55), (40, 50), (100.5, 115)])
def test_a_wider_search_holds_the_offset_with_room_to_spare(offset: float, wide: int) -> None:
    assert wider_search(offset) == wide


def test_no_estimate_no_answer() -> None:
    assert decide(None, **AUDIO).verdict == "inconclusive"


def test_what_carries_an_answer() -> None:
    assert decide(3.0, **AUDIO) == Decision("unacceptable")
    assert decide(-3.0, **AUDIO) == Decision("in sync")
    assert decide(2.0, **{**AUDIO, "confidence": 0.5}) == Decision("detectable")


def test_a_video_is_in_sync_only_if_all_of_it_is() -> None:
    parts = [Segment(0, 9, 0.0, 0.9), Segment(9, 12, 8.0, 0.9), Segment(12, 14, -9.0, 0.2)]
    assert decide(0.0, **AUDIO, segments=parts[:1]).verdict == "in sync"
    assert decide(0.0, **AUDIO, segments=parts[:2]).verdict == "unacceptable"
    assert decide(0.0, **AUDIO, segments=[parts[0], parts[2]]).verdict == "in sync"


@pytest.mark.parametrize(
    ("ms", "words"), [(119.6, "120 ms ahead"), (-40, "40 ms behind"), (0.3, "0 ms")]
)
def test_offsets_in_words(ms: float, words: str) -> None:
    assert in_words(ms) == words


@pytest.mark.parametrize(
    ("offset_frames", "verdict", "expected"),
    [
        (
            3.0,
            "unacceptable",
            "audio is 120 ms ahead of the video: unacceptable; delay the audio by 120 ms",
        ),
        (
            -4.0,
            "detectable",
            "audio is 160 ms behind the video: detectable; advance the audio by 160 ms",
        ),
        (
            1.0,
            "in sync",
            "in sync: audio is 40 ms ahead of the video, which viewers hardly notice",
        ),
        (0.2, "in sync", "in sync: audio and video are level (8 ms ahead)"),
        (0.0, "in sync", "in sync: audio and video are level"),
    ],
)
def test_sentences(offset_frames: float, verdict: str, expected: str) -> None:
    parts = (Segment(0, 4, offset_frames, 0.9),)
    video = made_result(offset_frames=offset_frames, verdict=verdict, segments=parts)
    assert sentence(video) == expected


def test_the_sentence_without_an_answer_says_why() -> None:
    assert sentence(inconclusive("the audio is silent")) == "inconclusive: the audio is silent"


def test_no_shift_is_advised_where_none_repairs_the_video() -> None:
    parts = (Segment(0, 2, 3.0, 0.9), Segment(2, 4, -5.0, 0.9))
    said = sentence(made_result(segments=parts))
    assert said == (
        "audio is between 120 ms ahead and 200 ms behind the video: unacceptable; "
        "2 segments differ in offset: repair them one by one"
    )
    both_ahead = sentence(made_result(segments=(parts[0], replace(parts[1], offset_frames=6.0))))
    assert "between 120 ms ahead and 240 ms ahead of the video" in both_ahead


def test_segments_that_agree_are_not_worth_a_word() -> None:
    parts = (Segment(0, 1, 3.0, 0.9), Segment(3, 4, 3.2, 0.9))
    assert "segments" not in sentence(made_result(segments=parts))


def test_drift_is_told_when_it_adds_up_to_a_frame() -> None:
    video = made_result(drift_ms_per_min=-12.0)
    assert "drift" not in sentence(video)
    long = replace(video, source=replace(video.source, duration_s=600.0))
    assert sentence(long) == (
        "audio is 120 ms ahead of the video: unacceptable; "
        "it drifts behind by 12 ms per minute, which no constant shift repairs"
    )
    told = replace(long, drift_interval_ms_per_min=(-14.4, -9.6))
    assert "it drifts behind by 12 ms per minute (10 to 14), which no" in sentence(told)


def test_the_ends_of_a_drifting_segment_count() -> None:
    video = made_result(
        offset_frames=0.0, drift_ms_per_min=60.0, segments=(Segment(0, 600, 0.0, 0.9),)
    )
    video = replace(video, source=replace(video.source, duration_s=600.0), verdict="unacceptable")
    assert worst_ms(video) == 300
    assert sentence(video).startswith(
        "audio is between 300 ms behind and 300 ms ahead of the video: unacceptable; it drifts ahead"
    )
    decision = decide(
        0.0,
        confidence=0.9,
        max_offset=15,
        frames=15_000,
        segments=video.segments,
        drift_ms_per_min=60.0,
    )
    assert decision.verdict == "unacceptable"


def test_the_sentence_tells_what_part_of_the_video_the_verdict_rests_on() -> None:
    parts = (Segment(30.0, 36.0, 3.0, 0.9), Segment(2.0, 4.0, -9.0, 0.3))
    video = made_result(verdict_coverage=0.167, segments=parts)
    assert sentence(video) == (
        "audio is 120 ms ahead of the video: unacceptable; delay the audio by 120 ms; "
        "the verdict rests on 17 % of the video (30.0 to 36.0 s)"
    )
    several = replace(video, segments=(parts[0], Segment(40.0, 42.0, 3.0, 0.8)))
    assert sentence(several).endswith("rests on 17 % of the video (2 segments)")
    assert "rests" not in sentence(replace(video, verdict_coverage=0.9))


def test_segments_without_confidence_do_not_differ() -> None:
    parts = (Segment(0.0, 3.0, 3.0, 0.9), Segment(3.0, 4.0, -9.0, 0.3))
    assert "between" not in sentence(made_result(segments=parts))
