"""The measures that the results rest on: known answers, chance, intervals, and what a window has seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.signal import lfilter
from torch import nn

from benchmark_modules import benchmark_modules
from fake_samples import talking_sample
from synctool.comparison.segment_cuts import cuts
from synctool.data.samples import Sample
from synctool.evaluation.bootstrap import mean_interval
from synctool.features.logmel import MARGIN, logmel
from synctool.features.video_input import prepared
from synctool.models.offset_classifier import OffsetClassifier
from synctool.networks.build import build
from synctool.plugins.specs import AudioInput, BackboneSpec, VideoInput
from synctool.scoring.confidence import Calibration
from synctool.scoring.offset import OffsetEstimate
from synctool.training.calibration import Example, in_memory, reliability
from synctool.training.multiway import MAX_OFFSET, best_within, multiway
from synctool.types import SAMPLES_PER_FRAME

with benchmark_modules(
    *("literature.multiway", "literature.offset_bias", "literature.readings"),
    *("literature.segment_agreement", "literature.speech"),
) as literature:
    protocol, pieces_test = literature.multiway, literature.segment_agreement
    CHANCE, accuracies = protocol.CHANCE, protocol.accuracies
    WindowHits, clip_constants, window_hits = (
        *(protocol.WindowHits, protocol.clip_constants, protocol.window_hits),
    )
    clip_constant = literature.offset_bias.clip_constant
    constants_of_others = literature.offset_bias.constants_of_others
    readings, speech_frames = literature.readings, literature.speech.speech_frames
    Answer, Piece, agreement = pieces_test.Answer, pieces_test.Piece, pieces_test.agreement

SPEC = BackboneSpec(
    name="hearing",
    tag="made",
    role="joint",
    factory="test_evaluation:hearing",
    summary="solves made-up samples",
    video=VideoInput(crop="mouth", size_px=72, colour="gray"),
    audio=AudioInput(kind="logmel64"),
    receptive_field_frames=11,
    audio_receptive_field_frames=11,
)


class OpenMouth(nn.Module):
    """How dark the middle of a frame is, as a smooth code of five frames."""

    def local(self, video: torch.Tensor) -> torch.Tensor:
        dark = 1 - video[:, 0].mean((2, 3))
        return _five(dark)

    def context(self, local: torch.Tensor) -> torch.Tensor:
        return _around(local)

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        return self.context(self.local(video))


class Loudness(nn.Module):
    """How loud the audio is, as the same code."""

    def local(self, audio: torch.Tensor) -> torch.Tensor:
        return _five(audio[:, 0].mean(1).unflatten(-1, (-1, 4)).mean(-1))

    def context(self, local: torch.Tensor) -> torch.Tensor:
        return _around(local)

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        return self.context(self.local(audio))


def _five(values: torch.Tensor) -> torch.Tensor:
    """``[B, T] -> [B, 5, T]``: a frame and its two neighbours on either side, without their mean."""
    rows = F.pad(values[:, None], (2, 2), mode="replicate")[:, 0].unfold(-1, 5, 1)
    rows = rows - rows.mean(-1, keepdim=True)
    return (rows / (rows.std(-1, keepdim=True) + 1e-3)).transpose(1, 2)


def _around(local: torch.Tensor) -> torch.Tensor:
    """The mean over seven frames: something that windows of five cannot have seen."""
    return F.avg_pool1d(F.pad(local, (3, 3), mode="replicate"), 7, 1)


def hearing() -> OffsetClassifier:
    """A network that solves ``talking_sample`` by construction."""
    model = OffsetClassifier(video_encoder=OpenMouth(), audio_encoder=Loudness())
    return model.eval().requires_grad_(False)


def talkers(count: int, *, frames: int = 45, people: int = 3, **more) -> list[Sample]:
    return [
        talking_sample(f"k{i}", seed=i, frames=frames, speaker=f"p{i % people}", **more)
        for i in range(count)
    ]


def always(audio: np.ndarray, *, lead: int, frames: int) -> np.ndarray:
    return np.ones(frames, bool)


def measured(model: nn.Module, samples: list[Sample], **more) -> list[WindowHits]:
    more = {"constants": {s.info.key: 0.0 for s in samples}, "speech": always} | more
    return window_hits(model, samples, spec=SPEC, person=lambda s: s.info.speaker, **more)


# ------------------------------------------------------------------------------------ the protocol


def test_an_oracle_is_always_right_and_chance_is_three_in_thirty_one() -> None:
    oracle = torch.zeros(31, 50)
    oracle[15] = 1.0
    assert best_within(oracle).mean() == 1.0
    noise = torch.randn(31, 20_000, generator=torch.Generator().manual_seed(0))
    assert best_within(noise).mean() == pytest.approx(CHANCE, abs=0.01)
    assert pytest.approx(0.0968, abs=1e-4) == CHANCE


def test_which_rows_count_as_right_by_hand() -> None:
    scores = torch.full((31, 6), -1.0)
    for window, row in enumerate((13, 14, 15, 16, 17, 0)):
        scores[row, window] = 1.0
    assert best_within(scores).tolist() == [False, True, True, True, False, False]
    scores[15, 0] = 2.0
    scores[15, 5] = -torch.inf  # a candidate that takes no part cannot win
    assert best_within(scores).tolist() == [True, True, True, True, False, False]


def test_accuracy_is_per_clip_and_then_over_clips() -> None:
    def hits(clip: str, right: list[int], speech: list[int]) -> WindowHits:
        return WindowHits(
            clip, clip, "made", "film", 5, np.array(right, bool), np.array(speech, bool)
        )

    table = accuracies(
        [
            hits("a", [1, 1, 1, 0], [1, 1, 0, 0]),
            hits("b", [0, 0], [0, 1]),
            hits("c", [1], [0]),  # no window of speech: takes no part there
        ]
    )
    cells = {cell.windows: cell for cell in table}
    assert cells["all"].interval.value == pytest.approx((0.75 + 0.0 + 1.0) / 3)
    assert cells["all"].count == 7
    assert cells["speech"].interval.value == pytest.approx((1.0 + 0.0) / 2)
    assert cells["speech"].count == 3


@pytest.mark.integration
def test_a_network_that_hears_is_right_in_every_reading() -> None:
    table = accuracies(measured(hearing(), talkers(4)))
    assert {(c.reading, c.frames) for c in table} == {
        (reading, n) for reading in ("alone", "cut", "film") for n in (5, 7, 9, 11, 13, 15)
    }
    cell = {(c.reading, c.frames): c.interval.value for c in table if c.windows == "all"}
    assert min(cell[reading, 15] for reading in ("alone", "cut", "film")) > 0.9
    assert cell["alone", 15] > cell["alone", 5] > 3 * CHANCE
    assert cell["film", 5] >= cell["cut", 5]


@pytest.mark.integration
def test_random_weights_are_at_chance() -> None:
    torch.manual_seed(3)
    _, model = build("fcn-cls", embedding=16, width=4)
    table = accuracies(measured(model.eval(), talkers(6, people=6, frames=30), contexts=(5, 15)))
    assert len(table) == 12
    for cell in table:
        assert cell.interval.value < 0.35, cell  # few clips, whose windows overlap


def test_late_audio_is_put_right_to_the_sample_before_judging() -> None:
    late = talkers(3, late_frames=2)
    wrong = measured(hearing(), late, contexts=(15,))
    right = measured(hearing(), late, contexts=(15,), constants={s.info.key: -2.0 for s in late})
    assert np.mean([h.right.mean() for h in wrong]) < 0.3
    assert np.mean([h.right.mean() for h in right]) > 0.9
    # Two frames of each clip have lost their own audio: their windows take no part.
    assert [h.right.size for h in right if h.reading == "film"] == [45 - 14 - 2] * 3


def test_the_constants_of_clips_are_found() -> None:
    late = talkers(6, late_frames=1)
    found = clip_constants(hearing(), late, spec=SPEC, person=lambda s: s.info.speaker)
    assert list(found.values()) == pytest.approx([-1.0] * 6, abs=0.3)


@pytest.mark.integration
def test_candidates_beyond_the_clip_are_other_audio_or_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    samples = talkers(2, frames=30)
    seen: list[torch.Tensor] = []

    def spy(scores: torch.Tensor) -> np.ndarray:
        seen.append(scores)
        return best_within(scores)

    monkeypatch.setattr(protocol, "best_within", spy)
    measured(hearing(), samples, contexts=(5,))
    assert all(torch.isfinite(scores).all() for scores in seen)
    seen.clear()
    measured(hearing(), samples, contexts=(5,), leave_out=True)
    # Window s of 30 - 4 has offsets n with 0 <= s - n and s - n + 5 <= 30.
    for scores in seen:
        assert torch.isfinite(scores).sum(0).tolist() == [
            min(15, s) + min(15, 25 - s) + 1 for s in range(26)
        ]


def test_windows_of_half_speech_count_as_speech() -> None:
    def first_ten(audio: np.ndarray, *, lead: int, frames: int) -> np.ndarray:
        return np.arange(frames) < 10

    hits = measured(hearing(), talkers(1, frames=20), contexts=(5, 8), speech=first_ten)
    speech = {hit.frames: hit.speech.tolist() for hit in hits if hit.reading == "film"}
    assert speech[5] == [True] * 8 + [False] * 8  # 3 of 5 frames at s = 7, 2 of 5 at s = 8
    assert speech[8] == [True] * 7 + [False] * 6  # 4 of 8 at s = 6


@pytest.mark.integration
def test_two_runs_give_the_same() -> None:
    first, second = (
        accuracies(measured(hearing(), talkers(3, frames=20), contexts=(5, 9))) for _ in range(2)
    )
    assert first == second


def test_clips_shorter_than_a_window_take_no_part() -> None:
    hits = measured(hearing(), talkers(2, frames=10), contexts=(5, 9, 11))
    assert {hit.frames for hit in hits} == {5, 9}
    assert measured(hearing(), talkers(1, frames=4)) == []


def test_figures_for_every_epoch() -> None:
    figures = multiway(hearing(), talkers(2), spec=SPEC, true_offset=lambda _: 0.0)
    assert set(figures) == {
        *(f"plain_{n}" for n in (1, 5, 15, "clip")),
        *(f"head_{n}" for n in (1, 5, 15, "clip")),
        *(f"alone_{n}" for n in (5, 15, "clip")),
    }
    assert figures["head_clip"] == figures["alone_clip"] == 1.0
    late = multiway(hearing(), talkers(2, late_frames=3), spec=SPEC, true_offset=lambda _: -3.0)
    assert late["head_clip"] == 1.0


# ------------------------------------------------------------------------- what a window has seen


@pytest.mark.integration
def test_cut_windows_are_what_the_network_says_of_these_frames_alone() -> None:
    """The quick way over shared rows gives the same as encoding each window by itself."""
    model, (sample, other) = hearing(), talkers(2, frames=24)
    reader = readings.WindowReader(model, sample, other.audio, spec=SPEC)
    scores = reader.readings((5, 9))
    audio = reader._audio(MAX_OFFSET, 0)
    video = prepared(reader._video(), SPEC.video)
    for n in (5, 9):
        for window in (0, 7, 24 - n):
            seen = model.encode_video(video[:, :, window : window + n])
            raw = torch.zeros(1, 31 + 2 * model.head.margin, n)
            inside = torch.zeros_like(raw, dtype=torch.bool)
            for offset in range(-15, 16):
                at = 4 * (window - offset + MAX_OFFSET)
                heard = model.encode_audio(audio[None, ..., at : at + 4 * n])
                row = model.head.margin + MAX_OFFSET + offset
                raw[0, row] = (heard * seen).sum(1)[0]
                inside[0, row] = True
            expected = model.head.refine(raw, inside)[0].mean(-1)
            assert torch.allclose(scores["cut", n][:, window], expected, atol=1e-4)


def test_windows_alone_see_five_frames_and_longer_ones_are_means() -> None:
    model, (sample, other) = hearing(), talkers(2, frames=24)
    scores = readings.WindowReader(model, sample, other.audio, spec=SPEC).readings((5, 7, 15))
    changed = sample.crops.copy()
    changed[12:] = 255 - changed[12:]
    blind = replace(sample, crops=changed)
    after = readings.WindowReader(model, blind, other.audio, spec=SPEC).readings((5,))
    assert torch.allclose(scores["alone", 5][:, :8], after["alone", 5][:, :8], atol=1e-5)
    assert not torch.allclose(scores["alone", 5][:, 8:], after["alone", 5][:, 8:], atol=1e-2)
    five = scores["alone", 5]
    assert torch.allclose(scores["alone", 7][:, 4], five[:, 4:7].mean(1), atol=1e-5)
    assert torch.allclose(scores["alone", 15][:, 3], five[:, 3:14].mean(1), atol=1e-5)


def test_the_default_network_is_cut_the_same_way() -> None:
    torch.manual_seed(0)
    model = build("fcn-cls", embedding=16, width=4)[1].eval()
    sample, other = talkers(2, frames=13)
    reader = readings.WindowReader(model, sample, other.audio, spec=SPEC)
    with torch.inference_mode():
        alone = readings.VideoWindows(model, reader._video, SPEC).cut(9)[2]
        video = prepared(reader._video(), SPEC.video)
        direct = model.encode_video(video[:, :, 2:11])[0]
        whole = model.encode_video(video)
        assert torch.allclose(alone, direct, atol=1e-4)
        assert torch.allclose(reader.whole[1], whole, atol=1e-4)
        audio = reader._audio(MAX_OFFSET, 0)
        heard = readings.AudioWindows(model, lambda: audio, SPEC)
        cut = model.encode_audio(audio[None, :, :, 4 * 3 : 4 * 12])[0]
        assert torch.allclose(heard.cut(9)[3], cut, atol=1e-4)


# --------------------------------------------------------------------------- intervals, constants


def test_an_interval_by_hand() -> None:
    flat = mean_interval([0.5] * 6, list("aabbcc"))
    assert (flat.value, flat.low, flat.high) == (0.5, 0.5, 0.5)
    assert (flat.drawn, flat.units, flat.count) == ("clips", 6, 6)
    people = mean_interval([0, 0, 1, 1, 0, 1, 0, 1, 0, 1], list("aabbccddee"))
    assert (people.drawn, people.units, people.value) == ("people", 5, 0.5)
    assert people.low < 0.5 < people.high


def test_all_right_is_not_beyond_doubt() -> None:
    certain = mean_interval([1.0] * 20, range(20))
    assert (certain.value, certain.high) == (1.0, 1.0)
    assert certain.low == pytest.approx(0.8316, abs=1e-4)  # Clopper & Pearson, 20 of 20
    never = mean_interval([0.0] * 20, [i % 5 for i in range(20)])  # five people, not 20 trials
    assert (never.low, never.high) == (0.0, pytest.approx(0.5218, abs=1e-4))


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    people = [p for p in range(40) for _ in range(5)]
    covered = by_clip = 0
    for run in range(200):
        skill = rng.normal(0.7, 0.1, 40)  # people differ, so their clips are alike
        values = [skill[p] + rng.normal(0, 0.05) for p in people]
        interval = mean_interval(values, people, draws=400, seed=run)
        covered += interval.low <= 0.7 <= interval.high
        alone = mean_interval(values, range(200), draws=400, seed=run)
        by_clip += alone.low <= 0.7 <= alone.high
    assert 0.90 <= covered / 200 <= 0.99
    assert by_clip / 200 < 0.85  # as if 200 people had spoken


def test_intervals_repeat_and_need_values() -> None:
    values, people = list(np.linspace(0, 1, 30)), [i % 7 for i in range(30)]
    assert mean_interval(values, people) == mean_interval(values, people)
    with pytest.raises(ValueError):
        mean_interval([], [])
    with pytest.raises(ValueError):
        mean_interval([1.0], [])


def test_a_clip_has_no_say_in_its_own_constant() -> None:
    offsets = np.arange(-15, 16)

    def curve(at: float) -> np.ndarray:
        return -((offsets - at) ** 2).astype(float)

    curves = np.array([curve(-1.0)] * 9 + [curve(8.0)])
    found = constants_of_others(curves, ["p"] * 10, ["s"] * 10)
    assert found[9] == pytest.approx(-1.0, abs=1e-6)  # the stray goes by the others
    two = np.array([curve(-2.0)] * 8 + [curve(0.0)] * 9)
    found = constants_of_others(two, ["a"] * 8 + ["b"] * 9, ["s"] * 17)
    middle = (8 * 0.0 + 8 * np.average([-2.0, 0.0], weights=[8, 8])) / 16
    assert found[16] == pytest.approx(middle, abs=0.2)
    assert constants_of_others(curves[:1], ["p"], ["s"]).tolist() == [0.0]


def test_constants_stay_near_the_recording() -> None:
    curves = np.zeros((4, 31))
    curves[:, 27] = 1.0  # a network that reads everything as 12 frames ahead is wrong
    assert np.abs(constants_of_others(curves, ["p"] * 4, ["s"] * 4)).max() <= 3.0


# ------------------------------------------------------------------------------------- the pieces


def piece(
    video_file: str, offset: float | None, *, moved: float = 0.0, answered: bool = True
) -> Piece:
    found = None if offset is None else offset + moved
    return Piece(video_file, video_file, moved, Answer(found, 0.9, answered))


def test_pieces_against_their_consensus_by_hand() -> None:
    pieces = [
        piece("a", 1.0, moved=4.0),
        piece("a", 1.2, moved=-9.5),
        piece("a", 0.8),
        piece("a", 2.1),  # 1.1 frames from the median, 1.0: wrong
        piece("a", 1.5, answered=False),
        piece("a", None, answered=False),
        piece("b", 0.0),
        piece("b", 0.0),  # two pieces make no consensus
    ]
    result = agreement(pieces)
    assert result.consensus == {"a": pytest.approx(1.1)}
    assert (result.pieces, result.answered) == (6, 4)
    assert result.of_answered.value == 1.0
    pieces[3] = piece("a", 2.11)
    result = agreement(pieces)
    assert result.of_answered.value == pytest.approx(3 / 4)
    assert result.of_all.value == pytest.approx(4 / 6)
    assert result.answered_right.value == pytest.approx(3 / 6)
    assert agreement(pieces[-2:]) is None


def test_random_answers_do_not_agree() -> None:
    rng = np.random.default_rng(0)
    pieces = [
        piece(f"f{i % 20}", rng.uniform(-15, 15) - moved, moved=moved)
        for i in range(400)
        for moved in [rng.uniform(-10, 10)]
    ]
    assert agreement(pieces).of_all.value < 0.2


def test_cuts_stay_inside_the_audio_and_move_every_piece() -> None:
    frames, length = 250, 50
    found = list(cuts(frames, length, frames * SAMPLES_PER_FRAME, np.random.default_rng(0)))
    assert [start for start, _, _ in found] == [0, 50, 100, 150, 200]
    for start, begin, moved in found:
        assert begin == start * SAMPLES_PER_FRAME + moved
        assert abs(moved) <= 10 * SAMPLES_PER_FRAME
        assert 0 <= begin <= (frames - length) * SAMPLES_PER_FRAME
    assert len({moved for _, _, moved in found}) == 5
    assert list(cuts(50, 60, 50 * SAMPLES_PER_FRAME, np.random.default_rng(0))) == []


def test_clips_are_joined_frame_by_frame() -> None:
    one, two = talkers(2, frames=12)
    led = replace(
        one,
        info=replace(one.info, sound_lead=640),
        audio=np.concatenate([np.full(640, 7, np.int16), one.audio[: 11 * 640]]),
    )
    crops, audio = pieces_test.joined([led, two])
    assert crops.shape[0] == 24
    assert audio.size == 24 * SAMPLES_PER_FRAME
    assert np.array_equal(audio[: 11 * 640], one.audio[: 11 * 640])
    assert not audio[11 * 640 : 12 * 640].any()
    assert np.array_equal(audio[12 * 640 :], two.audio)


def test_a_moved_piece_is_measured() -> None:
    sample = talkers(1, frames=150)[0]
    begin = 40 * SAMPLES_PER_FRAME
    audio = sample.audio[begin + 5 * SAMPLES_PER_FRAME :][: 80 * SAMPLES_PER_FRAME]
    model = in_memory(hearing(), SPEC)
    answer = pieces_test.measure(model, sample.crops[40:120], audio, stored=sample.info)
    assert answer.offset_frames == pytest.approx(5.0, abs=0.3)
    assert answer.answered
    nothing = pieces_test.measure(model, sample.crops[:3], audio[:640], stored=sample.info)
    assert not nothing.answered


# ----------------------------------------------------------------------------- speech, reliability


def vowels(seconds: int) -> np.ndarray:
    """Five vowels in turn: pulses of about 120 Hz through the formants of Peterson & Barney (1952)."""
    formants = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480))
    count, part = seconds * 16_000, 3_200
    t = np.arange(count) / 16_000
    phase = np.cumsum(120 * (1 + 0.15 * np.sin(4.4 * t))) / 16_000
    pulses = (np.diff(np.floor(phase), prepend=0) > 0).astype(float)
    source = lfilter([1], [1, -0.95], pulses)
    out = np.zeros(count)
    for i in range(count // part):
        heard = source
        for hz, width in zip(formants[i % 4], (60, 90, 150)):
            r = np.exp(-np.pi * width / 16_000)
            heard = lfilter([1 - r], [1, -2 * r * np.cos(2 * np.pi * hz / 16_000), r * r], heard)
        here = slice(i * part, (i + 1) * part)
        out[here] = heard[here] / np.abs(heard).max() * np.hanning(part) ** 0.5
    return out


def test_speech_is_told_from_silence_and_noise() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 300, 32_000).astype(np.int16)
    assert not speech_frames(noise, lead=0, frames=50).any()
    assert speech_frames(noise[:0], lead=0, frames=4).tolist() == [False] * 4
    audio = np.concatenate([np.zeros(16_000), 9000 * vowels(3), np.zeros(16_000)]).astype(np.int16)
    found = speech_frames(audio, lead=0, frames=125)
    assert not found[:24].any()
    assert found[28:98].mean() > 0.9
    assert not found[108:].any()
    moved = speech_frames(audio, lead=-10 * 640, frames=125)
    assert np.array_equal(moved[10:], found[:115])
    assert not moved[:10].any()  # no audio there


def test_reliability_of_a_known_calibration() -> None:
    sure = Calibration(intercept=np.log(4.0), log1p_t_stat=0.0)  # always 0.8
    estimate = OffsetEstimate(0.0, 15, 1.0, 1.0, 50, False, np.zeros(31))
    examples = [Example("p", estimate, i < 6, False, 0.0) for i in range(10)]
    error, table = reliability(sure, examples)
    assert error == pytest.approx(0.2)
    assert [(row.count, row.accuracy) for row in table] == [(10, 0.6)]


def test_the_made_up_audio_fits_the_features() -> None:
    sample = talkers(1, frames=20)[0]
    assert logmel(np.pad(sample.audio, MARGIN)).shape == (64, 80)


def test_a_clip_has_a_say_in_its_own_constant_as_far_as_it_is_sure() -> None:
    offsets = np.arange(-15, 16)
    sure = -20.0 * (offsets - 2) ** 2
    assert clip_constant(sure, 0.0) == pytest.approx(2.0, abs=0.2)
    assert clip_constant(0.0 * sure, -1.0) == pytest.approx(-1.0, abs=1e-6)
    # A wrong match far away is no constant.
    spurious = np.where(offsets == 12, 5.0, 0.0)
    assert clip_constant(spurious, -1.0) == pytest.approx(-1.0, abs=0.1)
