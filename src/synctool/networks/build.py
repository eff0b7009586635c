"""Names and options to networks, with fresh random weights or published ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar, cast

from torch import nn

from synctool.errors import MissingError, PluginError, SyncToolError, UsageError, described
from synctool.extras import explained
from synctool.models.protocol import sync_model
from synctool.models.two_stream import Projected, two_stream
from synctool.networks.names import PAIR_OPTIONS, model_spec
from synctool.networks.options import check_options, known_options, options_of
from synctool.plugins import registry
from synctool.plugins.specs import BackboneSpec, ModelSpec, PairSpec
from synctool.weights.files import find_weights, load_weights
from synctool.weights.published import fit_published

SIDES = ("video", "audio")
"""The encoders of a pair, in order."""
_RECEPTIVE_FIELDS = {"video": "receptive_field_frames", "audio": "audio_receptive_field_frames"}

S = TypeVar("S", bound=BackboneSpec)


def build(name: str, **options: Any) -> tuple[ModelSpec, nn.Module]:
    """Build a complete model by name, with fresh random weights.

    Args:
        name: ``NAME[.TAG]`` or ``VIDEO[.TAG]+AUDIO[.TAG]``.
        options: Options of the backbone.

    Returns:
        The spec, with the sizes that these options give, and the network.

    Raises:
        UsageError: No such backbone or option, or a value that it refuses.
        MissingError: It needs a package that is not installed.
        PluginError: What the plugin gives is no such network.
    """
    return construct(model_spec(name), options)


def construct(spec: S, options: Mapping[str, Any]) -> tuple[S, nn.Module]:
    """Build a network, an encoder or a complete model, from its spec.

    A network whose sizes depend on its options says so by the attributes ``embedding_size``,
    ``receptive_field_frames``, ``look_ahead_frames`` and ``bounded``.

    Args:
        spec: What to build.
        options: Options, of which the rest stay at their defaults.

    Returns:
        The spec with the sizes that these options give, and the network.

    Raises:
        UsageError: There is no such option, or it refuses a value.
        MissingError: It needs a package that is not installed.
        PluginError: It cannot be built, or is not what its spec says.
    """
    check_options(spec, options)
    if isinstance(spec, PairSpec):
        return cast("tuple[S, nn.Module]", _joined(spec, options))
    network = _made(spec, options)
    _check_network(spec, network)
    both = {**spec.options, **options}
    size = getattr(network, "embedding_size", both.get("embedding", spec.embedding_size))
    fields: dict[str, Any] = {"options": both, "embedding_size": size}
    fields["bounded"] = getattr(network, "bounded", spec.bounded)
    for side, field in _RECEPTIVE_FIELDS.items():
        encoder = network if spec.role == side else getattr(network, f"{side}_encoder", None)
        frames = getattr(encoder, "receptive_field_frames", None)
        if spec.role in (side, "joint") and frames is not None:
            fields[field] = frames
        if (ahead := getattr(encoder, "look_ahead_frames", None)) is not None:
            fields["look_ahead_frames"] = ahead
    return replace(spec, **fields), network


def _joined(spec: PairSpec, options: Mapping[str, Any]) -> tuple[PairSpec, nn.Module]:
    """Both encoders of a pair, and what compares them."""
    own = {**PAIR_OPTIONS, **{k: v for k, v in options.items() if k in PAIR_OPTIONS}}
    video, video_encoder = construct(spec.video_encoder, options_of("video", options))
    audio, audio_encoder = construct(spec.audio_encoder, options_of("audio", options))
    sizes = (video.embedding_size, audio.embedding_size)
    size = own["projection"] or sizes[0]
    head = _head(spec, own.pop("head"), options_of("head", options), size)
    try:
        network = two_stream(video_encoder, audio_encoder, sizes=sizes, head=head, **own)
    except ValueError as error:
        raise UsageError(
            f"{spec.full_name}: {error}", remedy="Give a projection, such as projection=256."
        ) from error
    return replace(
        spec,
        options={**spec.options, **options},
        embedding_size=size,
        receptive_field_frames=video.receptive_field_frames,
        audio_receptive_field_frames=audio.audio_receptive_field_frames,
        bounded=video.bounded and audio.bounded,
    ), network


def _head(spec: BackboneSpec, name: object, options: Mapping[str, Any], size: int) -> nn.Module:
    """What compares the embeddings of a pair."""
    head = registry.heads.get(str(name))
    unknown = sorted(set(options) - set(head.options))
    if unknown:
        known = ", ".join(head.options) or "none"
        raise UsageError(
            f"the head {head.name} has no option {unknown[0]!r}", remedy=f"Its options: {known}."
        )
    try:
        return registry.imported(head.factory)(embedding=size, **options)
    except Exception as error:  # a plugin's head may refuse in any way
        raise UsageError(
            f"{spec.full_name}: the head {head.name} cannot be built: {error}",
            remedy="Change its options or the projection.",
        ) from error


def _made(spec: BackboneSpec, options: Mapping[str, Any]) -> nn.Module:
    try:
        return registry.imported(spec.factory)(**options)
    except SyncToolError:
        raise
    except ImportError as error:
        told = explained(error, spec.full_name)
        if not isinstance(told, MissingError):
            told = MissingError(
                f"{spec.full_name} cannot be built: {error}",
                remedy="Install the package that it needs.",
            )
        raise told from error
    except (ValueError, TypeError) as error:
        if not options:
            raise _broken(spec, error) from error
        raise UsageError(
            f"{spec.full_name} refuses its options: {error}", remedy=known_options(spec)
        ) from error
    except Exception as error:  # a plugin's factory may fail in any way
        raise _broken(spec, error) from error


def _broken(spec: BackboneSpec, error: Exception) -> PluginError:
    return PluginError(
        f"{spec.full_name} cannot be built: {described(error)}",
        remedy=f"Tell the authors of the plugin; its factory is {spec.factory}.",
    )


def _check_network(spec: BackboneSpec, network: object) -> None:
    what = None
    if not isinstance(network, nn.Module):
        what = f"{type(network).__name__} in place of a torch.nn.Module"
    elif spec.role == "joint":
        try:
            sync_model(network)
        except TypeError as error:
            what = str(error)
    if what:
        raise PluginError(
            f"{spec.full_name} cannot be used: {spec.factory} gives {what}",
            remedy="Tell the authors of the plugin.",
        )


# ------------------------------------------------------------------------- published weights


def load_pretrained(
    spec: BackboneSpec, network: nn.Module, *, required: bool = False
) -> dict[str, str]:
    """Put published weights into the encoders of a pair, as far as they are on this machine.

    Args:
        spec: Of the pair; other models have no encoders with weights of their own.
        network: The pair, as ``build`` made it.
        required: Whether weights that are not here are an error.

    Returns:
        Name of what was loaded by side, ``video`` and ``audio``.

    Raises:
        MissingError: ``required``, and weights are not here or nobody published any.
        WeightsError: A file is not the published one, or does not fit the options.
    """
    loaded: dict[str, str] = {}
    if not isinstance(spec, PairSpec):
        return loaded
    for side, encoder_spec in zip(SIDES, (spec.video_encoder, spec.audio_encoder)):
        wrapped = getattr(network, f"{side}_encoder")
        encoder = wrapped.encoder if isinstance(wrapped, Projected) else wrapped
        try:
            loaded[side] = put_published(encoder_spec, encoder)
        except MissingError:
            if required:
                raise
    return loaded


def put_published(spec: BackboneSpec, encoder: nn.Module) -> str:
    """Put an encoder's published weights into it.

    Args:
        spec: Of the encoder.
        encoder: As ``construct`` made it.

    Returns:
        Name of the weights.

    Raises:
        MissingError: They are not on this machine, or nobody published any.
        WeightsError: The file is not the published one, or does not fit the options.
        PluginError: The encoder cannot load them.
    """
    if spec.weights is None:
        raise MissingError(
            f"nobody published weights for {spec.full_name}",
            remedy="Train it from nothing: --no-pretrained.",
        )
    path = find_weights(spec.weights, backbone=spec.full_name)
    if spec.weights.part:
        state = load_weights(path).state
        part = spec.weights.part
        own = {k.removeprefix(part): v for k, v in state.items() if k.startswith(part)}
        fit_published(encoder, own, name=spec.weights.name)
        return spec.weights.name
    load_published = getattr(encoder, "load_published", None)
    if not callable(load_published):
        raise PluginError(
            f"{spec.full_name} names published weights and has no load_published to take them",
            remedy="Tell the authors of the plugin.",
        )
    load_published(path)
    return spec.weights.name
