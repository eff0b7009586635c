"""Names to specs: ``NAME[.TAG]``, or ``VIDEO[.TAG]+AUDIO[.TAG]`` for a pair. Imports no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synctool.errors import UsageError
from synctool.extras import is_installed
from synctool.plugins import registry
from synctool.plugins.specs import BackboneSpec, ModelSpec, PairSpec
from synctool.types import DEFAULT_MAX_OFFSET
from synctool.weights.locate import located_export, whereabouts

PAIR_OPTIONS: Mapping[str, Any] = {
    "projection": 256,
    "max_offset": DEFAULT_MAX_OFFSET,
    "head": "volume",
}
"""Options of every pair: D that both encoders are brought to (0: none), K, and name of the head."""


def spec_of(name: str) -> BackboneSpec:
    """The spec of anything that has a name: an encoder, a joint model or a pair.

    Raises:
        UsageError: There is no such backbone.
        PluginError: Two plugins claim the name.
    """
    return _pair(name) if "+" in name else registry.backbones.get(name)


def model_spec(name: str) -> ModelSpec:
    """The spec of a complete model.

    Options of a pair's encoders are called ``video.NAME`` and ``audio.NAME``, those of its head
    ``head.NAME``.

    Args:
        name: ``NAME[.TAG]`` of a joint model, or ``VIDEO[.TAG]+AUDIO[.TAG]``.

    Raises:
        UsageError: There is no such name, or it is no complete model; the remedy names the
            nearest names, the partners, or the right order.
        PluginError: Two plugins claim the name.
    """
    spec = spec_of(name)
    if spec.role == "joint":
        return ModelSpec.of(spec)
    other = "audio" if spec.role == "video" else "video"
    pairs = [
        f"{spec.full_name}+{partner}" if other == "audio" else f"{partner}+{spec.full_name}"
        for partner in _encoders(other)
    ]
    raise UsageError(
        f"{spec.full_name!r} is only {_a(spec.role)} encoder and needs {_a(other)} encoder beside it",
        remedy=f"Choose a pair: {', '.join(pairs)}." if pairs else _none_installed(other),
    )


def full_name(name: str) -> str:
    """The full name of a model; the name as it is where no plugin that is installed gives it."""
    try:
        return model_spec(name).full_name
    except UsageError:
        return name


def _pair(name: str) -> PairSpec:
    parts = [part.strip() for part in name.split("+")]
    if len(parts) != 2 or not all(parts):
        raise UsageError(
            f"{name!r} is not the name of a pair",
            remedy="Write VIDEO+AUDIO, one encoder each side.",
        )
    left, right = (registry.backbones.get(part) for part in parts)
    for spec in (left, right):
        if spec.role == "joint":
            raise UsageError(
                f"{spec.full_name!r} is a complete model and takes no partner",
                remedy=f"Use {spec.full_name} alone.",
            )
    if left.video is not None and right.audio is not None:
        return PairSpec(
            name=f"{left.full_name}+{right.full_name}",
            tag="pair",
            default=True,
            role="joint",
            factory="synctool.models.two_stream:two_stream",
            summary=f"{left.summary}; {right.summary}",
            video=left.video,
            audio=right.audio,
            video_encoder=left,
            audio_encoder=right,
            embedding_size=PAIR_OPTIONS["projection"],
            receptive_field_frames=left.receptive_field_frames,
            audio_receptive_field_frames=right.audio_receptive_field_frames,
            options={
                **PAIR_OPTIONS,
                **_prefixed("head", _default_head_options()),
                **_prefixed("video", left.options),
                **_prefixed("audio", right.options),
            },
            bounded=left.bounded and right.bounded,
            any_crop=left.any_crop,
            small={
                "projection": 16,
                **_prefixed("video", left.small),
                **_prefixed("audio", right.small),
            },
        )
    if left.role != right.role:
        raise UsageError(
            f"{name!r} has its encoders the wrong way round",
            remedy=f"The video encoder comes first: {right.full_name}+{left.full_name}.",
        )
    missing = "audio" if left.role == "video" else "video"
    partners = _encoders(missing)
    raise UsageError(
        f"{name!r} pairs two {left.role} encoders; one of them must be {_a(missing)} encoder",
        remedy=f"Partners are {', '.join(partners)}." if partners else _none_installed(missing),
    )


def _default_head_options() -> Mapping[str, Any]:
    known = {head.name: head.options for head in registry.heads.all()}
    return known.get(PAIR_OPTIONS["head"], {})


def _prefixed(part: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{part}.{name}": value for name, value in options.items()}


def _encoders(role: str) -> list[str]:
    return [spec.full_name for spec in registry.backbones.all() if spec.role == role]


def _a(role: str) -> str:
    return f"an {role}" if role == "audio" else f"a {role}"


def _none_installed(role: str) -> str:
    return f"No {role} encoder is installed; install a plugin that has one."


# -------------------------------------------------------------------------------------- the list


@dataclass(frozen=True)
class BackboneStatus:
    """A backbone as a list shows it.

    Attributes:
        spec: What it is.
        weights: ``bundled``, ``here``, ``download`` (not here yet) or ``none`` (train it).
        needs: The extra without which it cannot be used here; "" where it can. A model that comes
            exported measures without PyTorch.
    """

    spec: BackboneSpec
    weights: str
    needs: str = ""


def statuses(names: Sequence[str] = ()) -> list[BackboneStatus]:
    """Encoders and complete models, and whether trained weights are here.

    Args:
        names: Those that are wanted, pairs too; none for all but pairs.

    Raises:
        UsageError: There is no such backbone.
        PluginError: Two plugins claim one name.
    """
    wanted = [spec_of(name) for name in names] or registry.backbones.all()
    return [BackboneStatus(spec, whereabouts(spec.weights), _needs(spec)) for spec in wanted]


def _needs(spec: BackboneSpec) -> str:
    exported = spec.role == "joint" and spec.weights is not None and located_export(spec.weights)
    return "" if is_installed("torch") or exported else "train"
