"""Names and options to networks with fresh random weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from torch import nn

from synctool.errors import MissingError, PluginError, SyncToolError, UsageError
from synctool.extras import explained
from synctool.models.two_stream import two_stream
from synctool.networks.naming import PAIR_OPTIONS, encoder_specs, named
from synctool.plugins import registry
from synctool.types import BackboneSpec

_JOINT_METHODS = ("encode_video", "encode_audio", "score")
_SIDES = ("video", "audio")
_REACHES = {"video": "receptive_field_frames", "audio": "audio_receptive_field_frames"}


def build(name: str, **options: Any) -> tuple[BackboneSpec, nn.Module]:
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
    return construct(named(name), options)


def construct(spec: BackboneSpec, options: Mapping[str, Any]) -> tuple[BackboneSpec, nn.Module]:
    """Build a network, an encoder or a complete model, from its spec.

    A network whose sizes depend on its options says so by the attributes ``embedding_size``,
    ``receptive_field_frames`` and ``bounded``.

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
    _check_options(spec, options)
    pair = encoder_specs(spec)
    if pair is not None:
        return _joined(spec, pair, options)
    network = _made(spec, options)
    _check_network(spec, network)
    both = {**spec.options, **options}
    size = getattr(network, "embedding_size", both.get("embedding", spec.embedding_size))
    fields: dict[str, Any] = {"options": both, "embedding_size": size}
    fields["bounded"] = getattr(network, "bounded", spec.bounded)
    for side, field in _REACHES.items():
        encoder = network if spec.role == side else getattr(network, f"{side}_encoder", None)
        reach = getattr(encoder, "receptive_field_frames", None)
        if spec.role in (side, "joint") and reach is not None:
            fields[field] = reach
    return replace(spec, **fields), network


def _joined(
    spec: BackboneSpec, pair: tuple[BackboneSpec, BackboneSpec], options: Mapping[str, Any]
) -> tuple[BackboneSpec, nn.Module]:
    """Both encoders of a pair, and what compares them."""
    own = {**PAIR_OPTIONS, **{k: v for k, v in options.items() if k in PAIR_OPTIONS}}
    (video, seeing), (audio, hearing) = (
        construct(s, _options_of(side, options)) for side, s in zip(_SIDES, pair)
    )
    sizes = (video.embedding_size, audio.embedding_size)
    size = own["projection"] or sizes[0]
    head = _head(spec, own.pop("head"), _options_of("head", options), size)
    try:
        network = two_stream(seeing, hearing, sizes=sizes, head=head, **own)
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
    head = registry.head(str(name))
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
            f"{spec.full_name} refuses its options: {error}", remedy=_known(spec)
        ) from error
    except Exception as error:  # a plugin's factory may fail in any way
        raise _broken(spec, error) from error


def _broken(spec: BackboneSpec, error: Exception) -> PluginError:
    return PluginError(
        f"{spec.full_name} cannot be built: {type(error).__name__}: {error}",
        remedy=f"Tell the authors of the plugin; its factory is {spec.factory}.",
    )


def _check_network(spec: BackboneSpec, network: object) -> None:
    what = None
    if not isinstance(network, nn.Module):
        what = f"{type(network).__name__} in place of a torch.nn.Module"
    elif spec.role == "joint":
        lacking = [m for m in _JOINT_METHODS if not callable(getattr(network, m, None))]
        if lacking:
            what = f"a network without {', '.join(lacking)}"
    if what:
        raise PluginError(
            f"{spec.full_name} cannot be used: {spec.factory} gives {what}",
            remedy="Tell the authors of the plugin.",
        )


def _check_options(spec: BackboneSpec, options: Mapping[str, Any]) -> None:
    pair = "+" in spec.name
    unknown = sorted(
        name
        for name in set(options) - set(spec.options)
        if not (pair and name.startswith("head."))  # which there are depends on the head
    )
    if unknown:
        near = get_close_matches(unknown[0], list(spec.options), n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"{spec.full_name} has no option {unknown[0]!r}", remedy=f"{hint}{_known(spec)}"
        )


def _known(spec: BackboneSpec) -> str:
    words = [f"{name} ({value})" for name, value in sorted(spec.options.items())]
    return f"Its options and their defaults: {', '.join(words) or 'none'}."


def _options_of(part: str, options: Mapping[str, Any]) -> dict[str, Any]:
    prefix = f"{part}."
    return {k.removeprefix(prefix): v for k, v in options.items() if k.startswith(prefix)}
