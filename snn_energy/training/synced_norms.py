"""Batch norms over the whole batch, however many processes share it.

    mean = sum(x) / n,  var = sum((x - mean)^2) / n         over the samples of all processes

as in torch.nn.SyncBatchNorm, which exists on GPUs alone; this one goes wherever `torch.distributed` goes. The running
variance takes n / (n - 1) var, as torch's batch norm does. In eval mode nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@contextmanager
def synced_norms(model: nn.Module, *, active: bool) -> Iterator[None]:
    """Inside the context the batch norms of `model` see the batches of all processes; parameters stay the same ones.

    The class of each norm is exchanged, not the module: names, state and identity stay, as does what others look
    for with `isinstance`.
    """
    changed = [module for module in model.modules() if active and type(module) in NORMS]
    original = [type(module) for module in changed]
    for module in changed:
        module.__class__ = _SYNCED[type(module)]
    try:
        yield
    finally:
        for module, kind in zip(changed, original, strict=True):
            module.__class__ = kind


class _AllSum(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of their gradients."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        total = x.detach().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(_: Any, grad: Tensor) -> Tensor:
        total = grad.contiguous().clone()
        dist.all_reduce(total)
        return total


def _all_sum(x: Tensor) -> Tensor:
    total: Tensor = _AllSum.apply(x)  # type: ignore[no-untyped-call]
    return total


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _synced(norm: nn.modules.batchnorm._BatchNorm, x: Tensor) -> Tensor:
    """`b c ...` -> `b c ...`, normalised in float32 at least."""
    axes = [0, *range(2, x.dim())]
    per_channel = [1, -1] + [1] * (x.dim() - 2)
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    here = torch.full((1,), float(x.numel() // x.shape[1]), dtype=wide.dtype, device=x.device)
    sums = _all_sum(torch.cat([wide.sum(axes), here]))
    count = sums[-1].detach()
    mean = sums[:-1] / count
    centred = wide - mean.view(per_channel)
    var = _all_sum(centred.square().sum(axes)) / count
    if norm.track_running_stats and norm.running_mean is not None and norm.running_var is not None:
        with torch.no_grad():
            assert norm.num_batches_tracked is not None
            norm.num_batches_tracked.add_(1)
            step = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
            norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), step)
            norm.running_var.lerp_((var * count / (count - 1)).to(norm.running_var.dtype), step)
    out = centred * torch.rsqrt(var + norm.eps).view(per_channel)
    if norm.affine:
        out = out * norm.weight.view(per_channel) + norm.bias.view(per_channel)
    return out.to(x.dtype)


class _Synced1d(nn.BatchNorm1d):
    def forward(self, input: Tensor) -> Tensor:
        return _synced(self, input) if self.training else super().forward(input)


class _Synced2d(nn.BatchNorm2d):
    def forward(self, input: Tensor) -> Tensor:
        return _synced(self, input) if self.training else super().forward(input)


class _Synced3d(nn.BatchNorm3d):
    def forward(self, input: Tensor) -> Tensor:
        return _synced(self, input) if self.training else super().forward(input)


_SYNCED: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: _Synced1d,
    nn.BatchNorm2d: _Synced2d,
    nn.BatchNorm3d: _Synced3d,
}
