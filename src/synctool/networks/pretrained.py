"""Published weights for the encoders of a pair."""

from __future__ import annotations

from torch import nn

from synctool.errors import MissingError, PluginError
from synctool.models.two_stream import Projected
from synctool.networks.naming import encoder_specs
from synctool.types import BackboneSpec
from synctool.weights.files import find_weights, load_weights
from synctool.weights.published import fit_published

SIDES = ("video", "audio")


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
    loaded = {}
    for side, encoder_spec in zip(SIDES, encoder_specs(spec) or ()):
        wrapped = getattr(network, f"{side}_encoder")
        encoder = wrapped.encoder if isinstance(wrapped, Projected) else wrapped
        try:
            put_published(encoder_spec, encoder)
        except MissingError:
            if required:
                raise
            continue
        loaded[side] = encoder_spec.weights.name
    return loaded


def put_published(spec: BackboneSpec, encoder: nn.Module) -> None:
    """Put an encoder's published weights into it.

    Args:
        spec: Of the encoder.
        encoder: As ``construct`` made it.

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
    elif callable(getattr(encoder, "load_published", None)):
        encoder.load_published(path)
    else:
        raise PluginError(
            f"{spec.full_name} names published weights and has no load_published to take them",
            remedy="Tell the authors of the plugin.",
        )
