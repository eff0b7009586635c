"""What every registered backbone must hold, on small random weights: for our tests and for plugins'.

Each check takes a spec, raises ``AssertionError`` with a sentence where it does not hold, and passes
over what does not concern the spec's role. A plugin's test calls them all::

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_contract(check):
        check(registry.single("my-encoder"))
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.errors import UsageError, described
from synctool.features.frontends import FRONT_ENDS
from synctool.models.protocol import sync_model
from synctool.networks.build import construct
from synctool.plugins import registry
from synctool.plugins.specs import BackboneSpec, PairSpec
from synctool.temporaries import scratch_folder
from synctool.types import DEFAULT_MAX_OFFSET, WIDEST_MAX_OFFSET

Check = Callable[[BackboneSpec], None]

_SMALL_PX = 40
"""Side of the frames where the encoder takes any."""
_INPUTS = 8
"""How many inputs a centre of influence is the mean of: that of one is a matter of chance."""
_HEAD_REACH = 8
"""Rows and frames around a place of the volume that a head may look at, at least."""


@dataclass(frozen=True)
class _Stream:
    """One encoder: of a joint model there are two."""

    name: str
    encode: Callable[[Tensor], Tensor]
    make: Callable[..., Tensor]
    axis: int
    steps: int
    reach: int
    size: int
    bounded: bool
    ahead: int | None = None


def check_options(spec: BackboneSpec) -> None:
    """The options of the spec are those of the factory, with its defaults, and no others are taken."""
    taken = {
        name: parameter.default
        for name, parameter in inspect.signature(registry.imported(spec.factory)).parameters.items()
    }
    _must(
        taken == dict(spec.options),
        f"the factory takes {taken}, and the spec says {dict(spec.options)}",
    )
    try:
        construct(spec, {"no_such_option": 1})
    except UsageError:
        return
    raise AssertionError("an unknown option is not refused")


def check_full_size(spec: BackboneSpec) -> None:
    """With all defaults there is one embedding per frame, of the size and the reach that the spec says."""
    with torch.device("meta"):  # shapes alone, nothing is computed
        built, network = construct(spec, {})
        network.eval()
        for stream in _streams(built, network, size_px=built.video.size_px if built.video else 0):
            for frames in (1, 33):
                got = tuple(stream.encode(stream.make(frames)).shape)
                wanted = (1, spec.embedding_size, frames)
                _must(got == wanted, f"{stream.name}: {got} in place of {wanted}")
    for field in ("embedding_size", "receptive_field_frames", "audio_receptive_field_frames"):
        own, said = getattr(built, field), getattr(spec, field)
        _must(own == said, f"{field} is {own} with all defaults, and the spec says {said}")


def check_any_length(spec: BackboneSpec) -> None:
    """Any number of frames, from one on, gives as many float32 embeddings, all of them finite."""
    for stream in _small_streams(spec):
        for frames in (1, 2, 5, 2 * stream.reach + 4):
            with torch.no_grad():
                got = stream.encode(stream.make(frames))
            wanted = (1, stream.size, frames)
            _must(tuple(got.shape) == wanted, f"{stream.name}: {tuple(got.shape)}, not {wanted}")
            _must(got.dtype == torch.float32, f"{stream.name}: {got.dtype} in place of float32")
            _must(bool(got.isfinite().all()), f"{stream.name}: embeddings that are not numbers")


def check_batches(spec: BackboneSpec) -> None:
    """An embedding does not depend on what else is in the batch, and is the same when asked again."""
    for stream in _small_streams(spec):
        given = stream.make(5, batch=2)
        with torch.no_grad():
            together = stream.encode(given)
            alone = torch.cat([stream.encode(one) for one in given.split(1)])
            again = stream.encode(given)
        _close(alone, together, f"{stream.name}: a clip alone and in a batch")
        _must(torch.equal(again, together), f"{stream.name}: another answer the second time")


def check_shift(spec: BackboneSpec) -> None:
    """An input that begins n frames later gives the embeddings of n frames later."""
    shift = 2
    for stream in _small_streams(spec):
        frames = 2 * stream.reach + 5
        whole = stream.make(frames)
        later = whole.narrow(stream.axis, shift * stream.steps, (frames - shift) * stream.steps)
        with torch.no_grad():
            before, after = stream.encode(whole), stream.encode(later)
            if not stream.bounded:
                # Learned or fixed positions are the same in any clip: what another clip of this
                # length gives is taken off, and the rest comes from what the clip holds.
                other = stream.make(frames)
                before = before - stream.encode(other)
                after = after - stream.encode(
                    other.narrow(stream.axis, shift * stream.steps, (frames - shift) * stream.steps)
                )
        inside = slice(stream.reach, frames - shift - stream.reach)
        if stream.bounded:
            _close(
                after[..., inside], before[..., shift:][..., inside],
                f"{stream.name}: the embeddings of a clip that begins {shift} frames later",
            )  # fmt: skip
        else:
            _must(
                _best_lag(before[0], after[0]) == shift,
                f"{stream.name}: a clip that begins {shift} frames later is most like the whole "
                f"one moved by {_best_lag(before[0], after[0])}",
            )


def check_centre(spec: BackboneSpec) -> None:
    """Row t looks as far back as ahead from the middle of frame t, or ahead as far as a causal network's
    spec says; bounded, no further than is said."""
    for stream in _small_streams(spec):
        row = stream.reach + 2
        influence = _influence(stream, row, 2 * row + 1, inputs=1 if stream.bounded else _INPUTS)
        where = (torch.arange(len(influence)) + 0.5) / stream.steps  # in frames
        if not stream.bounded:
            centre = float((where * influence).sum() / influence.sum())
            _must(
                abs(centre - row - 0.5) <= 0.5,
                f"{stream.name}: the centre of what row {row} looks at is {centre - 0.5:.2f}",
            )
            continue
        changed = influence.nonzero().flatten() / stream.steps
        first, last = float(changed[0]), float(changed[-1]) + 1 / stream.steps
        if stream.ahead is not None:
            _must(
                stream.ahead < last - row <= stream.ahead + 1,
                f"{stream.name}: row {row} looks {last - row - 1:.2f} frames ahead, and the spec says "
                f"{stream.ahead}",
            )
        else:
            _must(
                abs((first + last) / 2 - row - 0.5) < 0.5 / stream.steps + 1e-4,
                f"{stream.name}: row {row} looks from {first:.3f} to {last:.3f}",
            )
        _must(
            stream.reach - 1 < row - first <= stream.reach,
            f"{stream.name}: row {row} looks {row - first:.2f} frames back, and the spec says "
            f"{stream.reach}",
        )


def check_gradients(spec: BackboneSpec) -> None:
    """Every parameter of the encoders learns: it has a gradient, and not only zeros."""
    built, network = _lively(spec)
    network = deepcopy(network).train()
    torch.manual_seed(7)
    for stream in _streams(built, network):
        network.zero_grad(set_to_none=True)
        features = stream.encode(stream.make(8, batch=2))
        (features * torch.randn_like(features)).sum().backward()
        owner = getattr(network, f"{stream.name}_encoder", None)
        if spec.role == "joint" and owner is None:
            continue  # encoders that are no modules of their own: the classifiers' tests look at all
        for label, weight in (owner or network).named_parameters():
            gradient = weight.grad
            if gradient is None:
                raise AssertionError(f"{stream.name}: {label} has no gradient")
            finite = bool(gradient.isfinite().all())
            _must(finite, f"{stream.name}: {label} has gradients that are not numbers")
            _must(bool(gradient.any()), f"{stream.name}: the gradient of {label} is zero")


def check_saving(spec: BackboneSpec) -> None:
    """Weights that were saved as safetensors give the same network again."""
    from safetensors.torch import load_file, save_file

    network = _lively(spec)[1]
    other = _made(spec, seed=1)[1]
    with scratch_folder() as folder:
        save_file(network.state_dict(), folder / "w.safetensors")
        state = load_file(folder / "w.safetensors")
    streams = list(zip(_streams(spec, network), _streams(spec, other)))
    inputs = [stream.make(5) for stream, _ in streams]
    with torch.no_grad():
        wanted = [stream.encode(x) for (stream, _), x in zip(streams, inputs)]
        before = [stream.encode(x) for (_, stream), x in zip(streams, inputs)]
        other.load_state_dict(state, strict=True)
        after = [stream.encode(x) for (_, stream), x in zip(streams, inputs)]
    for (stream, _), a, b, c in zip(streams, wanted, before, after):
        _must(not torch.equal(a, b), f"{stream.name}: other random weights, and the same answer")
        _must(torch.equal(a, c), f"{stream.name}: another answer with the saved weights")


def check_devices(spec: BackboneSpec) -> None:
    """A GPU, where there is one, gives the answers of the processor."""
    if not torch.cuda.is_available():
        return
    network = _lively(spec)[1]
    there = deepcopy(network).cuda()
    for here, other in zip(_streams(spec, network), _streams(spec, there)):
        given = here.make(5)
        with torch.no_grad():
            wanted, got = here.encode(given), other.encode(given.cuda()).cpu()
        _close(got, wanted, f"{here.name}: on the GPU and on the processor", tolerance=1e-2)


# --------------------------------------------------------------------------- of joint models alone


def check_volume_shape(spec: BackboneSpec) -> None:
    """Any range K gives a volume ``[B, 2K+1, T]``, and ``-inf`` where there is no audio."""
    if spec.role != "joint":
        return
    size, k, lead, length = _built_size(spec), 4, 1, 6
    for wide in (DEFAULT_MAX_OFFSET, WIDEST_MAX_OFFSET):
        with torch.no_grad():
            got = _score(spec, _unit(1, size, 9), _unit(1, size, 9), max_offset=wide)
        _must(got.shape == (1, 2 * wide + 1, 9), f"a volume {tuple(got.shape)} for K = {wide}")
    with torch.no_grad():
        volume = _score(
            spec, _unit(1, size, length), _unit(1, size, 9), max_offset=k, audio_lead=lead
        )
    at = torch.arange(9) - torch.arange(-k, k + 1)[:, None] + lead
    inside = (at >= 0) & (at < length)
    _must(torch.equal(volume[0].isfinite(), inside), "scores outside the audio, or none inside")
    _must(bool((volume[0][~inside] == float("-inf")).all()), "outside the audio is not -inf")


def check_volume_shift(spec: BackboneSpec) -> None:
    """Audio that is moved by n frames moves the volume by n rows, whichever way it is moved."""
    if not _equivariant(spec):
        return
    n, k = 3, 6
    beyond = k + n + _HEAD_REACH
    video_features, audio_features = (
        _unit(1, _built_size(spec), 9),
        _unit(1, _built_size(spec), 9 + 2 * beyond),
    )
    with torch.no_grad():
        still = _score(spec, audio_features, video_features, max_offset=k, audio_lead=beyond)
        moved = _score(
            spec, audio_features.roll(n, 2), video_features, max_offset=k, audio_lead=beyond
        )
        told = _score(spec, audio_features, video_features, max_offset=k, audio_lead=beyond - n)
    _close(moved[:, :-n], still[:, n:], "the volume of moved audio")
    _close(told, moved, "the volume of audio that is said to be moved")


def check_volume_range(spec: BackboneSpec) -> None:
    """A small range is a part of a large one."""
    if not _equivariant(spec):
        return
    size = _built_size(spec)
    video_features, audio_features = _unit(2, size, 9), _unit(2, size, 40)
    with torch.no_grad():
        narrow, wide = (
            _score(spec, audio_features, video_features, max_offset=k, audio_lead=11)
            for k in (DEFAULT_MAX_OFFSET, WIDEST_MAX_OFFSET)
        )
    _close(narrow, wide[:, 110:141], "the middle of a larger volume")


def check_sign(spec: BackboneSpec) -> None:
    """Audio that is ahead of the video is a positive offset."""
    if not _equivariant(spec):
        return
    audio_features = _unit(1, _built_size(spec), 40)
    network = sync_model(_made(spec)[1])  # as it begins, before a head has learned anything
    for ahead in (-4, 0, 3):
        video_features = audio_features[
            ..., 10 - ahead : 30 - ahead
        ]  # the audio of frame t comes at t - ahead
        with torch.no_grad():
            volume = network.score(audio_features, video_features, max_offset=5, audio_lead=10)
        right = float((volume.argmax(1) == 5 + ahead).float().mean())
        _must(right > 0.9, f"audio {ahead} frames ahead is found in {right:.0%} of the frames")


CHECKS: tuple[Check, ...] = (
    check_options, check_full_size, check_any_length, check_batches, check_shift, check_centre,
    check_gradients, check_saving, check_devices, check_volume_shape, check_volume_shift,
    check_volume_range, check_sign,
)  # fmt: skip
"""All of them."""


# --------------------------------------------------------------------------- all of them, one by one


@dataclass(frozen=True)
class CheckOutcome:
    """What one check says of one network.

    Attributes:
        backbone: Its full name.
        check: Name of the check.
        passed: Whether the network keeps to it.
        reason: One sentence on what is wrong, None if nothing is.
    """

    backbone: str
    check: str
    passed: bool
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def run_checks(
    specs: Iterable[BackboneSpec], checks: Iterable[Check] = CHECKS
) -> Iterator[CheckOutcome]:
    """Run every check over every network.

    Args:
        specs: The networks.
        checks: Each raises ``AssertionError`` with a sentence; whatever else is raised while it runs
            is the network's fault, too.

    Yields:
        The outcomes, one by one, network after network.
    """
    checks = tuple(checks)
    for spec in specs:
        for check in checks:
            name = check.__name__.removeprefix("check_").replace("_", " ")
            reason = None
            try:
                check(spec)
            except AssertionError as error:
                reason = _line(str(error)) or "AssertionError"
            except (Exception, SystemExit) as error:  # a plugin may fail in any way
                reason = described(error)
            yield CheckOutcome(spec.full_name, name, reason is None, reason)


def _line(text: str) -> str:
    return " ".join(text.split())


# ------------------------------------------------------------------------------- networks and inputs


def _made(spec: BackboneSpec, seed: int = 0) -> tuple[BackboneSpec, nn.Module]:
    """As small as the spec says, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        built, network = construct(spec, dict(spec.small))
    return built, network.eval()


def _lively(spec: BackboneSpec) -> tuple[BackboneSpec, nn.Module]:
    """The same, with nothing left at zero and with normalisations that have seen data."""
    return _livened(_Key(spec))


class _Key:
    """A spec by its name: its options are no hashable value."""

    def __init__(self, spec: BackboneSpec) -> None:
        self.spec = spec
        self.key = (spec.full_name, spec.factory, repr(dict(spec.small)))

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.key == other.key


@lru_cache(maxsize=2)
def _livened(key: _Key) -> tuple[BackboneSpec, nn.Module]:
    built, network = _made(key.spec)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(3)
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
        network.train()
        for stream in _streams(built, network):
            stream.encode(stream.make(6))
    return built, network.eval()


def _small_streams(spec: BackboneSpec) -> list[_Stream]:
    """The encoders of the small network."""
    torch.manual_seed(7)
    return _streams(*_lively(spec))


def _streams(
    spec: BackboneSpec, network: nn.Module, *, size_px: int | None = None
) -> list[_Stream]:
    model = sync_model(network) if spec.role == "joint" else None
    size, ahead = spec.embedding_size, spec.look_ahead_frames
    seeing = hearing = spec.bounded
    if isinstance(spec, PairSpec):
        seeing, hearing = spec.video_encoder.bounded, spec.audio_encoder.bounded
    found = []
    if spec.video is not None:
        video = spec.video
        side = size_px or (_SMALL_PX if spec.any_crop else video.size_px)

        def crops(frames: int, batch: int = 1) -> Tensor:
            """Noise in the shape and range that the network wants."""
            low, high = video.value_range
            noise = torch.rand(batch, video.channels, frames, side, side)
            std = torch.tensor(video.per_channel(video.std, flow=1.0)).view(-1, 1, 1, 1)
            mean = torch.tensor(video.per_channel(video.mean, flow=0.0)).view(-1, 1, 1, 1)
            return (noise * (high - low) + low - mean) / std

        encode = network if model is None else model.encode_video
        reach = spec.receptive_field_frames // 2 - video.flow_reach_frames
        found.append(_Stream("video", encode, crops, 2, 1, reach, size, seeing, ahead))
    if spec.audio is not None:
        front = FRONT_ENDS[spec.audio.kind]

        def waveform(frames: int, batch: int = 1) -> Tensor:
            """Noise in the shape that the network wants."""
            noise = torch.randn(front.shape(frames, batch=batch))
            return noise if front.bands else 0.1 * noise

        encode = network if model is None else model.encode_audio
        reach = spec.audio_receptive_field_frames // 2
        found.append(
            _Stream("audio", encode, waveform, -1, front.steps, reach, size, hearing, ahead)
        )
    return found


def _built_size(spec: BackboneSpec) -> int:
    """D of the small network."""
    return _lively(spec)[0].embedding_size


def _score(
    spec: BackboneSpec, audio_features: Tensor, video_features: Tensor, **how: int
) -> Tensor:
    return sync_model(_lively(spec)[1]).score(audio_features, video_features, **how)


def _equivariant(spec: BackboneSpec) -> bool:
    """Whether moved audio moves the answer by construction: a regression has to learn it."""
    return spec.role == "joint" and getattr(_lively(spec)[1], "equivariant", True)


# -------------------------------------------------------------------------------------- comparisons


def _must(holds: bool, sentence: str) -> None:
    if not holds:
        raise AssertionError(sentence)


def _close(got: Tensor, wanted: Tensor, what: str, *, tolerance: float = 1e-3) -> None:
    """Equal up to the rounding of another order of summation."""
    finite = wanted[wanted.isfinite()]
    scale = float(finite.std())
    _must(scale > 1e-6, f"{what}: all the same, which proves nothing")
    _must(bool((got.isfinite() == wanted.isfinite()).all()), f"{what}: -inf at other places")
    worst = float((got[wanted.isfinite()] - finite).abs().max()) / scale
    _must(worst <= tolerance, f"{what} differs by {worst:.2g} of its spread")


def _best_lag(before: Tensor, after: Tensor) -> int:
    """By how many rows ``before [D, T]`` is to be moved to be most like ``after [D, T - n]``."""
    rows, most = after.shape[1], before.shape[1] - after.shape[1] + 2
    scores = {}
    for lag in range(most + 1):
        count = min(rows, before.shape[1] - lag) - 2
        here = F.normalize(before[:, lag + 1 : lag + 1 + count], dim=0)
        there = F.normalize(after[:, 1 : 1 + count], dim=0)
        scores[lag] = float((here * there).sum(0).mean())
    return max(scores, key=scores.__getitem__)


def _influence(stream: _Stream, row: int, frames: int, *, inputs: int) -> Tensor:
    """How much each step of the input changes an embedding: its squared gradient, over some inputs."""
    given = stream.make(frames, batch=inputs).requires_grad_()
    features = stream.encode(given)[..., row]
    features.backward(torch.randn_like(features))
    if given.grad is None:
        raise AssertionError(f"{stream.name}: the embeddings do not depend on the input")
    return given.grad.movedim(stream.axis, 0).flatten(1).square().sum(1)


def _unit(*shape: int) -> Tensor:
    """Random features of length 1."""
    return F.normalize(torch.randn(shape), dim=1)
