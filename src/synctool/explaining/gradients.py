"""Grad-CAM and integrated gradients of any network in PyTorch, by captum.

Grad-CAM: Selvaraju et al., ICCV 2017, at the last layer of the video encoder that still has a place for every
place of the crop. Integrated gradients: Sundararajan et al., ICML 2017, from the mean look of the moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from synctool.errors import UsageError
from synctool.explaining.target import Target, still_crops
from synctool.features.inputs import as_input
from synctool.models.protocol import sync_model

STEPS = 16
"""Points along the way from the mean look to the crops."""
_LEAST_SIDE = 3
"""A layer with fewer places along a side says nothing about where."""


def integrated_gradients(target: Target, *, steps: int = STEPS) -> tuple[np.ndarray, np.ndarray]:
    """Attributions of pixels and of audio.

    Returns:
        float32 ``[T, S, S]`` and ``[T_audio]``, both without a sign, in units of the scores.
    """
    from captum.attr import IntegratedGradients

    score, video, audio = _score(target), _video(target), _audio(target)
    spec = target.model.spec.video
    still = as_input(np.ascontiguousarray(still_crops(target.moment.crops)), spec)
    mean = audio.mean(-1, keepdim=True).expand_as(audio)
    found = IntegratedGradients(score).attribute(
        (video, audio),
        baselines=(torch.from_numpy(still).to(video), mean),
        n_steps=steps,
        internal_batch_size=1,
    )
    pixels = found[0].detach().abs().sum(1)[0]
    heard = found[1].detach().abs()
    heard = heard.reshape(-1, heard.shape[-1]).sum(0)
    heard = heard[: len(heard) // target.steps * target.steps].reshape(-1, target.steps).sum(1)
    return pixels.cpu().numpy(), heard.cpu().numpy()


def grad_cam(target: Target) -> np.ndarray:
    """Grad-CAM of the crops: float32 ``[T, S, S]``, 0 and more.

    Raises:
        UsageError: No layer of the network has places.
    """
    from captum.attr import LayerGradCam

    score, video, audio = _score(target), _video(target), _audio(target)
    layer = last_spatial_layer(score.network, video)
    found = LayerGradCam(score, layer).attribute((video, audio), relu_attributions=True)
    found = (found[0] if isinstance(found, tuple) else found).detach()
    frames, side = target.moment.crops.shape[:2]
    places = found[:, 0] if found.ndim == 4 else found[0, 0]  # [B * T, 1, h, w] or [B, 1, T, h, w]
    grown = F.interpolate(places[None, None], (frames, side, side), mode="trilinear")
    return grown[0, 0].cpu().numpy()


def last_spatial_layer(network: nn.Module, video: Tensor) -> nn.Module:
    """The last module of the video encoder whose output has several rows and columns.

    Raises:
        UsageError: There is none.
    """
    found: list[nn.Module] = []

    def note(module: nn.Module, _: object, out: object) -> None:
        if isinstance(out, Tensor) and out.ndim in (4, 5) and min(out.shape[-2:]) >= _LEAST_SIDE:
            found.append(module)

    hooks = [
        module.register_forward_hook(note)
        for module in network.modules()
        if not list(module.children())
    ]
    try:
        with torch.no_grad():
            sync_model(network).encode_video(video)
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        raise UsageError(
            "the video encoder has no layer with places, which Grad-CAM needs",
            remedy="Use --method integrated-gradients, or --method occlusion.",
        )
    return found[-1]


@contextmanager
def random_weights(network: nn.Module, *, seed: int = 0) -> Iterator[None]:
    """All weights of a network shuffled within their tensors; they are put back afterwards."""
    kept = {name: p.detach().clone() for name, p in network.named_parameters()}
    generator = torch.Generator().manual_seed(seed)
    try:
        with torch.no_grad():
            for parameter in network.parameters():
                order = torch.randperm(parameter.numel(), generator=generator)
                flat = parameter.detach().cpu().reshape(-1)[order]
                parameter.copy_(flat.reshape(parameter.shape).to(parameter))
        yield
    finally:
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.copy_(kept[name])


class _Score(nn.Module):
    """The explained number, as a module of crops and audio features."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        self.network = target.model.network
        self._target = target

    def forward(self, video: Tensor, audio: Tensor) -> Tensor:
        """``[B, C, T, H, W]`` and audio features ``-> [B]``."""
        target, model = self._target, sync_model(self.network)
        volume = model.score(
            model.encode_audio(audio),
            model.encode_video(video),
            max_offset=target.max_offset,
            audio_lead=target.lead,
        ).float()
        part = volume[:, :, target.moment.target]
        valid = torch.isfinite(part)
        finite = torch.where(valid, part, torch.zeros_like(part))
        mean = finite.sum(1) / valid.sum(1).clamp(min=1)
        return (finite[:, target.row] - mean).mean(-1)


def _score(target: Target) -> _Score:
    return _Score(target).eval()


def _video(target: Target) -> Tensor:
    crops = as_input(target.moment.crops, target.model.spec.video)
    return torch.from_numpy(crops).to(_device(target)).requires_grad_(True)


def _audio(target: Target) -> Tensor:
    return torch.from_numpy(target.audio.copy()).to(_device(target)).requires_grad_(True)


def _device(target: Target) -> torch.device:
    return next(target.model.network.parameters()).device
