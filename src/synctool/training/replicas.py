"""Several processes that train one network, each on its share of every batch.

With one process all of this is the identity. Gradients come out as those of the whole batch when they
are averaged over the processes, as PyTorch's DistributedDataParallel does.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def leave() -> None:
    """Close the connections to the other processes, if there are any."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def gather(x: Tensor) -> Tensor:
    """What all processes have, joined in the order of their ranks; gradients flow back to each.

    Args:
        x: ``[N, ...]``; N may differ between processes, the rest may not.

    Returns:
        ``[sum of N, ...]``, the same in every process.
    """
    if world_size() == 1:
        return x
    own = torch.tensor([len(x)], device=x.device)
    lengths = [torch.empty_like(own) for _ in range(world_size())]
    dist.all_gather(lengths, own)
    counts = [int(n) for n in lengths]
    # The collective wants equal shapes: shorter ones are filled up, and cut again.
    filled = torch.cat([x, x.new_zeros(max(counts) - len(x), *x.shape[1:])])
    parts = _Gather.apply(filled.contiguous())
    return torch.cat([part[:n] for part, n in zip(parts, counts, strict=True)])


def global_mean(total: Tensor, count: Tensor) -> Tensor:
    """Mean over the batch of all processes, from each one's sum and count.

    The value is the same in every process. Its gradient is scaled so that averaging the gradients
    over the processes gives the gradient of that mean.

    Args:
        total: Sum of this process, a scalar.
        count: How many were summed, a scalar; where all have none, the mean is 0.
    """
    if world_size() == 1:
        return total / count.clamp_min(1)
    both = torch.stack([total.detach().double(), count.detach().double()])
    dist.all_reduce(both)
    counted = both[1].clamp_min(1)
    scaled = total * (world_size() / counted).to(total.dtype)
    value = (both[0] / counted).to(total.dtype)
    return scaled + (value - scaled).detach()


def average(values: Tensor) -> Tensor:
    """Mean of a tensor over the processes, without gradients."""
    if world_size() == 1:
        return values
    out = values.detach().clone()
    dist.all_reduce(out)
    return out / world_size()


def gather_objects(value: Any) -> list[Any]:
    """A plain value of every process, by rank."""
    if world_size() == 1:
        return [value]
    out: list[Any] = [None] * world_size()
    dist.all_gather_object(out, value)
    return out


def _sum(x: Tensor) -> Tensor:
    """Sum over the processes, with gradients."""
    return x if world_size() == 1 else _Sum.apply(x)


class _Sum(torch.autograd.Function):
    """``all_reduce`` with gradients; PyTorch's own differ from version to version."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        out = x.clone()
        dist.all_reduce(out)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        # What every process makes of the sum depends on this one's part of it.
        out = gradient.contiguous().clone()
        dist.all_reduce(out)
        return out


class _Gather(torch.autograd.Function):
    """``all_gather`` with gradients, of equal shapes: ``[N, ...] -> [world, N, ...]``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(world_size())]
        dist.all_gather(parts, x)
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        out = gradient.contiguous().clone()
        dist.all_reduce(out)
        return out[rank()]


def synchronised(model: nn.Module) -> nn.Module:
    """The network with batch normalisation over the batch of all processes.

    On NVIDIA devices this is PyTorch's own SyncBatchNorm; elsewhere, where that refuses, one of ours.
    Names of tensors stay as they were. With one process the network is returned as it is.
    """
    if world_size() == 1:
        return model
    if dist.get_backend() == "nccl":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    return _converted(model)


def _converted(module: nn.Module) -> nn.Module:
    if isinstance(module, _BatchNorm) and not isinstance(module, GlobalBatchNorm):
        return GlobalBatchNorm.like(module)
    for name, child in module.named_children():
        setattr(module, name, _converted(child))
    return module


class GlobalBatchNorm(_BatchNorm):
    """Batch normalisation (Ioffe & Szegedy 2015) with the statistics of all processes' batches."""

    @classmethod
    def like(cls, norm: _BatchNorm) -> GlobalBatchNorm:
        """The same layer, sharing its parameters and running statistics."""
        own = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        own._parameters = norm._parameters
        own._buffers = norm._buffers
        own.training = norm.training
        return own

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"expected at least 2 dimensions, got {input.ndim}")

    def forward(self, input: Tensor) -> Tensor:
        """``[N, C, ...] -> [N, C, ...]``."""
        x = input
        self._check_input_dim(x)
        if not self.training and self.running_mean is not None:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        axes = [i for i in range(x.ndim) if i != 1]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        wide = x.float()
        own = torch.cat([wide.sum(axes), wide.new_tensor([x.numel() / x.shape[1]])])
        summed = _sum(own)
        count = summed[-1].detach()
        mean = summed[:-1] / count
        # Deviations from the mean in a second round: sums of squares would lose digits.
        centred = wide - mean.view(shape)
        variance = _sum(centred.square().sum(axes)) / count
        self._track(mean.detach(), variance.detach(), count)
        out = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            out = out * self.weight.view(shape) + self.bias.view(shape)
        return out.to(x.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        if not (self.training and self.track_running_stats):
            return
        if self.running_mean is None or self.running_var is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked += 1
        share = self.momentum
        if share is None:
            share = 1.0 / float(self.num_batches_tracked or 1)
        self.running_mean.lerp_(mean.to(self.running_mean), share)
        unbiased = variance * (count / (count - 1).clamp_min(1))
        self.running_var.lerp_(unbiased.to(self.running_var), share)
