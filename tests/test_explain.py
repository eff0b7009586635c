"""What carried the answer: maps find the place that a made network looks at, checks tell good from bad."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import synctool
from flicker import SPEC, Flicker, _pattern, flicker_audio, pattern
from synctool.cli.app import main
from synctool.errors import EXIT_MISSING, EXIT_OK, EXIT_USAGE, UsageError
from synctool.explaining import run
from synctool.explaining.checks import check_masking, check_random_weights
from synctool.explaining.moment import Moment
from synctool.explaining.occlusion import (
    PATCHES,
    audio_importance,
    frame_importance,
    occlusion_map,
)
from synctool.explaining.run import explained
from synctool.explaining.target import Target, still_crops
from synctool.networks.loaded import LoadedModel
from synctool.plugins.specs import ModelSpec, VideoInput
from synctool.report.explanation import figures, moments_words, places_words
from synctool.runtimes.torch import TorchRuntime
from synctool.scoring.confidence import UNCALIBRATED
from synctool.settings.explain import ExplainSettings
from videos import make_video

SIDE, FRAMES, AHEAD = 24, 60, 2
PLACE = (slice(12, 18), slice(4, 10))
RATE = 16_000


class Placed(Flicker):
    """Sees the brightness of one place only, after a layer that has places."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.ones_(self.look.weight)

    def encode_video(self, video: Tensor) -> Tensor:
        """``[B, 1, T, S, S] -> [B, 5, T]``."""
        batch, _, frames, side, _ = video.shape
        seen = self.look(video.transpose(1, 2).reshape(-1, 1, side, side))
        return _pattern(20 * seen[:, 0][:, PLACE[0], PLACE[1]].mean((1, 2)).reshape(batch, frames))


def model(network: nn.Module) -> LoadedModel:
    spec = replace(SPEC, video=VideoInput(crop="face", size_px=SIDE, colour="gray"))
    runtime = TorchRuntime(network.eval(), torch.device("cpu"))
    return LoadedModel(ModelSpec.of(spec), runtime, "made", UNCALIBRATED, 0.0)


@pytest.fixture(scope="module")
def moment() -> Moment:
    """Brightness follows the audio in one place, and another pattern everywhere else."""
    own, other = pattern(0), pattern(5)
    crops = np.empty((FRAMES, SIDE, SIDE), np.uint8)
    for t in range(FRAMES):
        crops[t] = 140 if other(t / 25) else 110
        crops[t][PLACE] = 140 if own((t + 50 - AHEAD) / 25) else 110
    samples = (flicker_audio(own, 6.4) * 32767).astype(np.int16)
    return Moment(3.2, 0, 50, crops, slice(10, 50), samples, 0)


@pytest.fixture(scope="module")
def target(moment: Moment) -> Target:
    return Target(model(Placed()), moment, max_offset=15)


def inside(heat: np.ndarray) -> float:
    """Share of a map that lies in the place."""
    return float(heat[PLACE].sum() / heat.sum())


def test_the_target_is_the_offset_of_the_moment(target: Target) -> None:
    assert target.offset_frames == pytest.approx(AHEAD, abs=0.3)
    assert target.score(target.volume) > 3
    still = target.volume_of(np.ascontiguousarray(still_crops(target.moment.crops)))
    assert target.score(still) < 0.2 * target.score(target.volume)


def test_occlusion_finds_the_place(target: Target) -> None:
    seen: list[int] = []
    heat = np.clip(occlusion_map(target, on_step=lambda: seen.append(1)), 0, None)
    assert len(seen) == (PATCHES - 1) ** 2
    assert inside(heat) > 0.5 and heat.shape == (SIDE, SIDE)
    y, x = np.unravel_index(int(heat.argmax()), heat.shape)
    assert 11 <= y < 19 and 3 <= x < 11


def test_frames_that_are_not_explained_carry_little(target: Target) -> None:
    frames, audio = frame_importance(target), audio_importance(target)
    assert len(frames) == len(audio) == FRAMES
    for values in (frames, audio):
        assert values[10:50].mean() > 5 * abs(values[:4].mean())
        assert values[-2:].max() < values[10:50].max()


def test_masking_tells_a_good_map_from_a_bad_one(target: Target) -> None:
    good, bad = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    good[PLACE] = 1
    bad[0:6, 14:20] = 1
    share = 36 / SIDE**2
    found = check_masking(target, good, share=share)
    assert found.passed and found.named > 0.8 and found.share == pytest.approx(share, abs=0.01)
    assert found.random_low <= found.random <= found.random_high
    assert not check_masking(target, bad, share=share).passed


def test_grad_cam_and_integrated_gradients_find_the_place(target: Target) -> None:
    pytest.importorskip("captum")
    from synctool.explaining.gradients import grad_cam, integrated_gradients, last_spatial_layer

    pixels, heard = integrated_gradients(target, steps=8)
    assert pixels.shape == (FRAMES, SIDE, SIDE) and inside(pixels.sum(0)) > 0.95
    assert len(heard) >= FRAMES and heard.sum() > 0
    heats = grad_cam(target)
    assert heats.shape == (FRAMES, SIDE, SIDE) and heats.min() >= 0 and heats.max() > 0
    network = target.model.network
    assert last_spatial_layer(network, torch.zeros(1, 1, 20, SIDE, SIDE)) is network.look


def test_a_network_without_places_says_so(moment: Moment) -> None:
    pytest.importorskip("captum")
    settings = ExplainSettings(at=3.2, method="grad-cam", checks=False)
    with pytest.raises(UsageError, match="no layer with places"):
        explained(model(Flicker()), moment, settings, name="a.mp4")


def test_shuffled_weights_destroy_the_map_and_are_put_back(moment: Moment) -> None:
    network = Weighted()
    target = Target(model(network), moment, max_offset=15)
    before = {name: p.clone() for name, p in network.named_parameters()}

    def again(other: Target) -> np.ndarray:
        return np.clip(occlusion_map(other, patches=6), 0, None)

    heat = again(target)
    found = check_random_weights(target, heat, again)
    assert found.passed and abs(found.correlation) < 0.5
    after = dict(network.named_parameters())
    assert all(torch.equal(before[name], after[name]) for name in before)
    same = check_random_weights(target, heat, lambda _: heat)
    assert same.correlation == pytest.approx(1) and not same.passed


class Weighted(Flicker):
    """The same place by weights, one a pixel."""

    def __init__(self) -> None:
        super().__init__()
        weights = torch.zeros(SIDE, SIDE)
        weights[PLACE] = 1 / 36
        self.weights = nn.Parameter(weights)

    def encode_video(self, video: Tensor) -> Tensor:
        """``[B, 1, T, S, S] -> [B, 5, T]``."""
        return _pattern(20 * (video[:, 0] * self.weights).sum((2, 3)))


@pytest.mark.parametrize("checks", [True, False])
def test_a_check_that_was_left_out_is_told_from_one_that_needs_pytorch(
    checks: bool, moment: Moment
) -> None:
    settings = ExplainSettings(at=3.2, checks=False)
    found = explained(model(Placed()), moment, settings, name="a.mp4")
    assert found.checks is False and found.random_weights is None
    told = dict(figures(replace(found, checks=checks, runtime="onnx")))["weights check"]
    assert (
        told
        == f"not tried: {'it needs PyTorch (--runtime torch)' if checks else 'left out (--no-checks)'}"
    )


def test_the_whole_is_plain_data(moment: Moment) -> None:
    found = explained(model(Placed()), moment, ExplainSettings(at=3.2, checks=False), name="a.mp4")
    data = json.loads(json.dumps(found.to_dict()))
    assert data["schema"] == "synctool.explain/1" and data["method"] == "occlusion"
    assert data["checks"]["masking"]["passed"] and data["checks"]["random_weights"] is None
    assert data["offset_ms"] == pytest.approx(40 * AHEAD, abs=12)
    assert len(data["places"]) == 12 and max(map(max, data["places"])) <= 1


# ----------------------------------------------------------------------------------------- command


def test_help_says_how_to_leave_the_checks_out(capsys) -> None:
    assert main(["explain", "--help"]) == EXIT_OK
    assert "--no-checks" in capsys.readouterr().out


def test_places_are_told_in_words() -> None:
    heat = np.zeros((12, 12))
    heat[1:3, 5:8] = 1
    assert "round the upper middle of the crop" in places_words(
        heat + np.indices((12, 12))[0] * -1e-6
    )


def test_moments_are_told_in_words_also_those_that_speak_against_the_answer() -> None:
    values = np.zeros(50)
    values[[10, 20]] = 0.6, 0.4
    assert "against" not in moments_words(values, 25)
    values[[30, 40]] = -0.5, -0.001
    told = moments_words(values, 25)
    assert "1.40" in told and "1.80" in told and told.endswith("100 % of all; against it at 2.20 s")


def test_the_command_writes_what_is_asked_for(
    clips: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    import av

    # Half as many squares along a side: a quarter of the time of the bundled network.
    monkeypatch.setattr(run, "occlusion_map", partial(occlusion_map, patches=PATCHES // 2))
    names = {n: tmp_path / f"why.{n}" for n in ("json", "html", "svg", "mp4")}
    words = ["explain", str(clips / "example.avi"), "--at", "1", "--seconds", "0.4", "--no-checks"]
    words += ["--json", str(names["json"]), "--html", str(names["html"])]
    words += ["--plot", str(names["svg"]), "--video", str(names["mp4"])]
    assert main(words) == EXIT_OK
    assert "masking check  passed" in capsys.readouterr().out
    data = json.loads(names["json"].read_text("utf-8"))
    assert data["runtime"] == "onnx" and 80 < data["offset_ms"] < 160
    assert "What carried the answer at 1 s" in names["html"].read_text("utf-8")
    with av.open(str(names["mp4"])) as video:
        assert {s.type for s in video.streams} == {"video", "audio"}
        count = sum(1 for _ in video.decode(video=0))
    assert count == len(data["frames"])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--at", "90"], EXIT_USAGE, "has no moment 90 s"),
        (["--at", "1", "--face", "7"], EXIT_USAGE, "no face"),
        (["--at", "1", "--method", "magic"], EXIT_USAGE, "occlusion"),
        (["--at", "1", "--video", "why.png"], 2, "no name of a video"),
    ],
)
def test_what_cannot_be_explained_is_said(tmp_path: Path, capsys, words, code: int, said) -> None:
    path = make_video(tmp_path / "plain.mp4", seconds=2.0)
    assert main(["explain", str(path), *words]) == code
    assert said in capsys.readouterr().err


def test_a_missing_video_is_said(tmp_path: Path) -> None:
    assert main(["explain", str(tmp_path / "none.mp4"), "--at", "1"]) == EXIT_MISSING
    with pytest.raises(synctool.SyncToolError):
        synctool.explain(tmp_path / "none.mp4", at=1.0)
