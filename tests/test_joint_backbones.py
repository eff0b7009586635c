"""The relatives of ``fcn-cls``: attention that stays local, scales, transformers, and the regression."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fake_evidence import FakeAudio, FakeVideo, talking_batch
from synctool.data.windows import WindowBatch
from synctool.errors import UsageError
from synctool.models.attention import (
    AttentionBlock,
    AttentiveHead,
    BandedAttention,
    FeedForwardBlock,
    SqueezeExcitation,
)
from synctool.models.heads import VolumeHead
from synctool.models.offset_regressor import OffsetRegressor
from synctool.models.pyramid import PyramidBlock
from synctool.networks.build import build
from synctool.plugins import registry
from synctool.scoring.offset import estimate_offset
from synctool.training.regression_objective import RegressionObjective, fit_line

SWITCHES = ("channel_attention", "temporal_attention", "cross_attention")
SMALL = {"embedding": 16, "width": 4}


@pytest.fixture(autouse=True)
def same_noise() -> None:
    torch.manual_seed(11)


def shapes(name: str, **options: object) -> dict[str, tuple[int, ...]]:
    network = build(name, **SMALL, **options)[1]
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def stirred(module: nn.Module) -> nn.Module:
    """With nothing left at zero, in evaluation mode."""
    with torch.no_grad():
        for parameter in module.parameters():
            if not parameter.any():
                parameter.normal_(std=0.3)
    return module.eval()


def unit(*shape: int) -> Tensor:
    return F.normalize(torch.randn(shape), dim=1)


# -------------------------------------------------------------------------------------- switches


@pytest.mark.parametrize("switch", SWITCHES)
def test_each_attention_brings_weights_of_its_own(switch: str) -> None:
    alone = {other: other == switch for other in SWITCHES}
    more, plain = shapes("fcn-attn", **alone), shapes("fcn-cls")
    assert plain.keys() < more.keys()
    assert shapes("fcn-attn", **{switch: False}).keys() < shapes("fcn-attn").keys()
    own = {
        "channel_attention": ("video_encoder.stages.0.gate.", "audio_encoder.gates.0."),
        "temporal_attention": ("video_encoder.temporal.2.", "audio_encoder.temporal.2."),
        "cross_attention": ("head.hear.", "head.relative"),
    }[switch]
    for prefix in own:
        assert any(key.startswith(prefix) for key in more.keys() - plain.keys()), prefix


def test_without_attention_it_is_the_default_network() -> None:
    off = dict.fromkeys(SWITCHES, False)
    assert shapes("fcn-attn", use_attention=False) == shapes("fcn-cls")
    assert shapes("fcn-attn", **off) == shapes("fcn-cls")
    one, other = (build(*name, **SMALL, **more)[1].eval() for name, more in (
        (("fcn-cls",), {}), (("fcn-attn",), {"use_attention": False}),
    ))  # fmt: skip
    other.load_state_dict(one.state_dict())
    audio, video = torch.randn(1, 1, 64, 24), torch.rand(1, 1, 6, 72, 72)
    with torch.no_grad():
        assert torch.equal(one(audio, video).logits, other(audio, video).logits)


@pytest.mark.parametrize("switch", SWITCHES)
def test_each_attention_changes_the_answer(switch: str) -> None:
    torch.manual_seed(0)
    network = stirred(build("fcn-attn", **SMALL, **{s: s == switch for s in SWITCHES})[1])
    plain = build("fcn-cls", **SMALL)[1].eval()
    plain.load_state_dict(
        {k: v for k, v in network.state_dict().items() if k in plain.state_dict()}
    )
    audio, video = torch.randn(1, 1, 64, 24), torch.rand(1, 1, 6, 72, 72)
    with torch.no_grad():
        got, wanted = (x(audio, video, max_offset=2).sync_probs for x in (network, plain))
    assert (got - wanted).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fcn-attn", {"temporal_attention": False}),
        ("fcn-attn", {"attention_reach": 2}),
        ("fcn-attn", {}),
        ("fcn-pyramid", {"scales": 2}),
        ("fcn-pyramid", {}),
        ("fcn-transformer", {"layers": 1, "attention_reach": 3}),
        ("fcn-transformer", {}),
    ],
)
def test_encoders_know_how_far_they_look(name: str, options: dict[str, object]) -> None:
    encoder = stirred(build(name, **SMALL, **options)[1].audio_encoder)
    reach = encoder.receptive_field_frames // 2
    audio = torch.randn(1, 1, 64, 4 * (2 * reach + 5), requires_grad=True)
    encoder(audio)[0, :, reach + 2].sum().backward()
    felt = audio.grad.unflatten(-1, (-1, 4)).abs().sum((0, 1, 2, 4)).nonzero().flatten().tolist()
    assert (felt[0], felt[-1]) == (2, 2 * reach + 2)


@pytest.mark.parametrize("look_ahead", [0, 1, 2])
def test_a_causal_network_looks_ahead_as_far_as_is_said(look_ahead: int) -> None:
    spec, network = build("fcn-cls-causal", **SMALL, look_ahead=look_ahead)
    assert spec.look_ahead_frames == look_ahead
    audio, video = torch.randn(1, 1, 64, 160), torch.rand(1, 1, 40, 72, 72)
    stirred(network).eval()
    with torch.no_grad():
        before = network(audio, video, max_offset=4)
        audio[..., 4 * 30 :], video[:, :, 30:] = 0.0, 0.0
        after = network(audio, video, max_offset=4)
    for name in ("audio_features", "video_features"):
        moved = (getattr(before, name) - getattr(after, name)).abs().amax((0, 1)) > 1e-6
        assert moved.nonzero().flatten()[0] == 30 - look_ahead
    # A candidate o frames later needs the audio of o frames later, and nothing after that.
    same = torch.isclose(before.logits[0], after.logits[0]).all(0)
    assert same[: 30 - look_ahead - 4 - network.head.margin].all()


def test_weights_of_the_default_fit_its_causal_variant() -> None:
    default, causal = build("fcn-cls", **SMALL)[1], build("fcn-cls-causal", **SMALL)[1]
    causal.load_state_dict(default.state_dict())


def test_the_spec_says_how_far_the_defaults_look() -> None:
    for name in ("fcn-reg", "fcn-attn", "fcn-pyramid", "fcn-transformer", "fcn-cls-causal"):
        spec = registry.backbones.get(name)
        with torch.device("meta"):
            network = build(name)[1]
        assert network.video_encoder.receptive_field_frames == spec.receptive_field_frames
        assert network.audio_encoder.receptive_field_frames == spec.audio_receptive_field_frames


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fcn-attn", {"heads": 3}),
        ("fcn-attn", {"attention_reach": -1}),
        ("fcn-attn", {"candidate_reach": -1}),
        ("fcn-attn", {"heads": 0, "temporal_attention": False}),
        ("fcn-pyramid", {"scales": 0}),
        ("fcn-cls-causal", {"look_ahead": 3}),
        ("fcn-transformer", {"layers": 0}),
        ("fcn-transformer", {"heads": 5}),
        ("fcn-reg", {"calibration": "guessed"}),
    ],
)
def test_options_that_make_no_sense_are_refused(name: str, options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"{name} refuses its options"):
        build(name, **SMALL, **options)


@pytest.mark.parametrize("name", ["fcn-attn", "fcn-pyramid", "fcn-transformer"])
def test_chance_plays_a_part_in_training_only(name: str) -> None:
    network = build(name, **SMALL)[1]
    layers = [m for m in network.video_encoder.temporal.modules() if isinstance(m, nn.Dropout)]
    assert layers
    for layer in network.modules():
        if isinstance(layer, nn.Dropout) and layer not in layers:
            layer.p = 0.0
    local = torch.randn(2, 16, 12)
    assert not torch.equal(*(network.video_encoder.context(local) for _ in range(2)))
    network.eval()
    assert torch.equal(*(network.video_encoder.context(local) for _ in range(2)))


# -------------------------------------------------------------------------------------- the parts


def test_channel_attention_looks_at_one_frame_or_step() -> None:
    images = stirred(SqueezeExcitation(8, over=(2, 3)))
    x = torch.randn(3, 8, 5, 5)
    y = images(x)
    changed = x.clone()
    changed[1] += 1
    assert torch.equal(images(changed)[[0, 2]], y[[0, 2]])
    factors = (y / x).flatten(2)
    torch.testing.assert_close(factors, factors[..., :1].expand_as(factors))
    assert ((factors > 0) & (factors < 1)).all()

    audio = stirred(SqueezeExcitation(8, over=(2,)))
    x = torch.randn(2, 8, 6, 9)
    changed = x.clone()
    changed[..., 4] += 1
    differs = (audio(changed) != audio(x)).any(2).any(1).any(0)
    assert differs.nonzero().flatten().tolist() == [4]


@pytest.mark.parametrize("frames", [1, 2, 5, 17])
@pytest.mark.parametrize("reach", [0, 1, 4])
def test_banded_attention_is_attention_under_a_mask(frames: int, reach: int) -> None:
    layer = stirred(BandedAttention(8, reach=reach, heads=2))
    x = torch.randn(3, 8, frames)
    queries, keys, values = (
        y.transpose(2, 3) for y in layer.project(x).unflatten(1, (3, 2, 4)).unbind(1)
    )
    at = torch.arange(frames)
    apart = at[None] - at[:, None]
    bias = layer.relative[:, (apart + reach).clamp(0, 2 * reach)]
    mask = bias.masked_fill(apart.abs() > reach, float("-inf"))
    wanted = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask[None])
    wanted = layer.out(wanted.transpose(2, 3).flatten(1, 2))
    torch.testing.assert_close(layer(x), wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "block",
    [
        lambda: AttentionBlock(8, reach=3, heads=2),
        lambda: FeedForwardBlock(8),
        lambda: PyramidBlock(8, dilations=(1, 2, 4)),
    ],
)
def test_a_piece_with_its_context_gives_what_the_whole_gives(block) -> None:
    layer = stirred(block())
    x = torch.randn(2, 8, 30)
    n = layer.reach
    whole, piece = layer(x), layer(x[..., 10 - n : 20 + n])
    torch.testing.assert_close(piece[..., n : n + 10], whole[..., 10:20], atol=1e-5, rtol=1e-4)
    if n:
        lacking = layer(x[..., 11 - n : 20 + n])[..., n - 1]
        assert (lacking - whole[..., 10]).abs().max() > 1e-4, "one frame less is not enough"


# -------------------------------------------------------------------------------------- the head


def head(reach: int = 2) -> AttentiveHead:
    return stirred(AttentiveHead(embedding=8, reach=reach, heads=2, channels=3))


def attended(layer: AttentiveHead, heard: Tensor, seen: Tensor, t: int, n: int, lead: int) -> float:
    """The correction of one cell, written out: frame t, audio n frames ahead."""
    total = 0.0
    size = heard.shape[1] // layer.heads
    hear, see = (
        weight.weight[..., 0].unflatten(0, (2 * layer.heads, size))
        for weight in (layer.hear, layer.see)
    )
    for i in range(layer.heads):
        logits, values = [], []
        for m in range(-layer.reach, layer.reach + 1):
            at = t - (n + m) + lead
            if not 0 <= at < heard.shape[2]:
                continue
            key, query, value, compared = (
                F.normalize(x, dim=0)
                for x in (
                    hear[i] @ heard[0, :, at],
                    see[i] @ seen[0, :, t],
                    hear[layer.heads + i] @ heard[0, :, at],
                    see[layer.heads + i] @ seen[0, :, t],
                )
            )
            bias = layer.relative[i, m + layer.reach]
            logits.append(key @ query * layer.log_temperature[i].exp() + bias)
            values.append(value @ compared)
        weights = torch.stack(logits).softmax(0)
        total = total + layer.gain[i] * (weights * torch.stack(values)).sum()
    return float(total)


def test_frames_attend_to_the_audio_about_a_candidate() -> None:
    layer = head()
    nn.init.zeros_(layer.layers[-1].weight)  # the convolutions add nothing
    nn.init.zeros_(layer.layers[-1].bias)
    heard, seen, lead = unit(1, 8, 7), unit(1, 8, 5), 1
    with torch.no_grad():
        volume = layer(heard, seen, max_offset=3, audio_lead=lead)
        finite = 0
        for t in range(5):
            for n in range(-3, 4):
                at = t - n + lead
                cell = volume[0, 3 + n, t]
                if not 0 <= at < 7:
                    assert cell == float("-inf")
                    continue
                finite += 1
                cosine = float(heard[0, :, at] @ seen[0, :, t]) * float(layer.log_scale.exp())
                wanted = cosine + attended(layer, heard, seen, t, n, lead)
                assert float(cell) == pytest.approx(wanted, abs=1e-4)
    assert finite > 20


def test_the_head_begins_as_the_plain_one() -> None:
    torch.manual_seed(0)
    layer, plain = AttentiveHead(embedding=8), VolumeHead()
    plain.load_state_dict({k: v for k, v in layer.state_dict().items() if k in plain.state_dict()})
    heard, seen = unit(2, 8, 12), unit(2, 8, 9)
    got, wanted = (x(heard, seen, max_offset=4) for x in (layer, plain))
    torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("reach", [0, 1, 3])
def test_the_volume_moves_with_the_audio_and_fits_any_range(reach: int) -> None:
    layer, k, n = head(reach), 4, 2
    beyond = k + n + layer.margin + 1
    heard, seen = unit(1, 8, 9 + 2 * beyond), unit(1, 8, 9)
    with torch.no_grad():
        still = layer(heard, seen, max_offset=k, audio_lead=beyond)
        moved = layer(heard.roll(n, 2), seen, max_offset=k, audio_lead=beyond)
        wide = layer(heard[..., 7:-9], seen, max_offset=60, audio_lead=beyond - 7)
        narrow = layer(heard[..., 7:-9], seen, max_offset=k, audio_lead=beyond - 7)
    torch.testing.assert_close(moved[:, :-n], still[:, n:], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(narrow, wide[:, 60 - k : 61 + k], atol=1e-5, rtol=1e-4)
    assert still.std() > 0.1


def test_the_head_wants_its_further_volumes() -> None:
    volume = torch.zeros(1, 21, 4)
    with pytest.raises(ValueError, match="0 volumes of 4"):
        head().refine(volume, volume == 0)
    assert VolumeHead().further(unit(1, 8, 4), unit(1, 8, 4)) == ()


# -------------------------------------------------------------------------------------- regression


class Said(OffsetRegressor):
    """Answers that are given to it, in units of the largest offset."""

    def __init__(self, calibration: str = "fitted") -> None:
        super().__init__(
            video_encoder=nn.Identity(), audio_encoder=nn.Identity(), embedding=1, max_offset=15,
            width=1, calibration=calibration,
        )  # fmt: skip
        self.said = torch.zeros(1, 1)

    def forward(self, audio: Tensor, video: Tensor, *, audio_lead: int = 0) -> Tensor:
        """Without a look at the input."""
        return self.line[0] * 15 * self.said + self.line[1]

    def regress(self, audio: Tensor, video: Tensor, *, audio_lead: int = 0) -> Tensor:
        """Without a look at the input."""
        return self(audio, video)


def window(*offsets: float) -> WindowBatch:
    count = len(offsets)
    return WindowBatch(
        video=torch.zeros(count, 1, 2, 4, 4, dtype=torch.uint8),
        audio=torch.zeros(count, 1, 64, 8),
        offset_frames=torch.tensor(offsets),
        audio_lead=0,
    )


@pytest.mark.parametrize("answer", [-6.0, 0.0, 2.3, 11.75])
def test_the_volume_says_what_the_regression_said(answer: float) -> None:
    model = Said()
    model.said = (answer + torch.randn(1, 300)) / 15
    model.fit_spread(15 * model.said, torch.full((1, 300), answer))
    features = torch.zeros(1, 1, 400)
    volume = model.score(features, features[..., :300], max_offset=15, audio_lead=50)
    assert volume.shape == (1, 31, 300)
    found = estimate_offset(volume[0].numpy())
    assert found.offset_frames == pytest.approx(15 * float(model.said.mean()), abs=1e-3)
    density = volume[0].exp().sum(0)  # rows lie one frame apart: their sum is the integral
    inside = (15 * model.said[0]).abs() < 10
    torch.testing.assert_close(density[inside], torch.ones(int(inside.sum())), atol=0.01, rtol=0)


def test_outside_the_audio_a_regression_has_no_score() -> None:
    model = build("fcn-reg", **SMALL, head_width=8)[1].eval()
    heard, seen, lead, k = unit(1, 16, 6), unit(1, 16, 9), 1, 4
    with torch.no_grad():
        volume = model.score(heard, seen, max_offset=k, audio_lead=lead)
    at = torch.arange(9) - torch.arange(-k, k + 1)[:, None] + lead
    assert torch.equal(volume[0].isfinite(), (at >= 0) & (at < 6))


def test_scores_and_answers_are_of_one_network() -> None:
    model = stirred(build("fcn-reg", **SMALL, head_width=8, max_offset=6)[1])
    audio, video = torch.randn(2, 1, 64, 4 * 20), torch.rand(2, 1, 8, 72, 72)
    with torch.no_grad():
        offsets = model(audio, video, audio_lead=6)
        heard, seen = model.encode_audio(audio), model.encode_video(video)
        volume = model.score(heard, seen, max_offset=12, audio_lead=12 - 6)
    assert offsets.std() > 1e-3
    nearest = offsets.round().clamp(-6, 6).long() + 12
    assert torch.equal(volume[:, 6:19].argmax(1) + 6, nearest)


def test_a_regression_begins_as_unsure_as_one_can_be() -> None:
    for k in (6, 15):
        spread = build("fcn-reg", **SMALL, max_offset=k)[1].spread_frames
        assert float(spread) == pytest.approx(torch.linspace(-k, k, 10_001).std().item(), rel=1e-3)


@pytest.mark.parametrize(("calibration", "line"), [("fitted", [2.0, -1.0]), ("linear", [1.0, 0.0])])
def test_the_two_calibrations(calibration: str, line: list[float]) -> None:
    model = Said(calibration).train()
    true = torch.tensor([-9.0, 0.0, 3.0, 6.0])
    raw = (true + 1) / 2  # shrunken and moved
    noise = torch.tensor([1.0, -1.0, 2.0, -2.0])  # of single frames; their mean is right
    batches = []
    for rows in (slice(0, 3), slice(3, 4)):
        batches.append((window(*true[rows].tolist()), (raw[rows, None] + noise) / 15))

    def given():
        for batch, model.said in batches:
            yield batch

    fit_line(model, given())
    assert model.line.tolist() == pytest.approx(line, abs=1e-5)
    assert model.training
    errors = line[0] * (raw[:, None] + noise) + line[1] - true[:, None]
    assert float(model.spread_frames) == pytest.approx(float(errors.square().mean().sqrt()))
    with pytest.raises(ValueError, match="no windows"):
        fit_line(model, [])


def test_calibration_is_stored_with_the_weights() -> None:
    one, other = (build("fcn-reg", **SMALL)[1] for _ in range(2))
    one.calibrate(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 4.0]))
    one.fit_spread(torch.tensor([0.0, 2.0]), torch.tensor([0.0, 0.0]))
    other.load_state_dict(one.state_dict())
    assert other.line.tolist() == [3.0, 1.0]
    assert float(other.spread_frames) == pytest.approx(2**0.5)
    one.fit_spread(torch.ones(3), torch.ones(3))
    assert float(one.spread_frames) == 0.25, "no answer is sure beyond all doubt"
    with pytest.raises(ValueError, match="predictions"):
        one.fit_spread(torch.ones(3), torch.ones(2))


@pytest.mark.parametrize(("loss", "value"), [("mse", 5 / 225), ("l1", 2 / 15)])
def test_losses_of_a_regression(loss: str, value: float) -> None:
    """Answers of 3 and -1 to a truth of 2: squares 1 and 9, amounts 1 and 3, unit 15."""
    model = Said()
    model.said = torch.tensor([[3.0, -1.0]]) / 15
    got, parts = RegressionObjective(max_offset=15, loss=loss)(model, window(2.0))
    assert float(got) == pytest.approx(value)
    assert parts == {loss: pytest.approx(value)}


def test_a_loss_that_is_none() -> None:
    with pytest.raises(UsageError, match="no loss 'focal' for a regression"):
        RegressionObjective(max_offset=15, loss="focal")


@pytest.mark.parametrize("loss", ["l1", "mse"])
def test_the_loss_of_a_regression_falls(loss: str) -> None:
    torch.manual_seed(0)
    model = OffsetRegressor(
        video_encoder=FakeVideo(8), audio_encoder=FakeAudio(8), embedding=8, max_offset=3, width=16
    )
    objective = RegressionObjective(max_offset=3, loss=loss)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    batch = talking_batch(0)
    losses = []
    for _ in range(40):
        value, _ = objective(model, batch)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(float(value.detach()))
    assert losses[-1] < 0.3 * losses[0]
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())
    fit_line(model, [batch])
    assert 0.25 <= float(model.spread_frames) < 1.5
