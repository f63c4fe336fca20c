"""Mixup and CutMix: an image and its label become a mixture of two."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot


def mixup(x: Tensor, labels: Tensor, classes: int, generator: torch.Generator, alpha: float) -> tuple[Tensor, Tensor]:
    """Return l x + (1 - l) x', `n ...`, and the same mixture of the labels, float32 `n classes`.

    x' is another image of the batch; l is drawn for each image from Beta(alpha, alpha). Source: Zhang et al., "mixup:
    Beyond Empirical Risk Minimization", arXiv:1710.09412, equation 1.
    """
    share = _beta(len(x), alpha, generator)
    partner = _partners(len(x), generator)
    weight = share.to(x.device, x.dtype).view(-1, *[1] * (x.dim() - 1))
    mixed = torch.lerp(x[partner.to(x.device)], x, weight)
    return mixed, _soft(labels, partner, share, classes)


def cutmix(x: Tensor, labels: Tensor, classes: int, generator: torch.Generator, alpha: float) -> tuple[Tensor, Tensor]:
    """Return `n ... h w` with a rectangle of each image taken from another one, and labels by area, `n classes`.

    The rectangle has the image's proportions and, before the border cuts it, 1 - l of its area, l drawn from
    Beta(alpha, alpha); its middle is drawn evenly. Source: Yun et al., "CutMix", arXiv:1905.04899, section 3.1.
    """
    n, height, width = len(x), int(x.shape[-2]), int(x.shape[-1])
    side = (1 - _beta(n, alpha, generator)).sqrt()
    partner = _partners(n, generator)

    def inside(size: int) -> Tensor:
        middle = torch.randint(0, size, (n,), generator=generator, device=generator.device).cpu()
        cut = (side * size).to(torch.int64)
        from_start = torch.arange(size) - (middle - cut // 2)[:, None]
        return (from_start >= 0) & (from_start < cut[:, None])

    box = inside(height)[:, :, None] & inside(width)[:, None, :]
    share = 1 - box.sum((1, 2)).to(torch.float64) / (height * width)
    there = box.view(n, *[1] * (x.dim() - 3), height, width).to(x.device)
    return torch.where(there, x[partner.to(x.device)], x), _soft(labels, partner, share, classes)


def _beta(n: int, alpha: float, generator: torch.Generator) -> Tensor:
    """Draw `n` numbers from Beta(alpha, alpha), float64; torch's own sampler takes no generator."""
    seed = int(torch.randint(0, 2**62, (1,), generator=generator, device=generator.device))
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, n))


def _partners(n: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(n, generator=generator, device=generator.device).cpu()


def _soft(labels: Tensor, partner: Tensor, share: Tensor, classes: int) -> Tensor:
    weight = share.to(labels.device, torch.float32)[:, None]
    own = one_hot(labels, classes).to(torch.float32)
    return weight * own + (1 - weight) * own[partner.to(labels.device)]
