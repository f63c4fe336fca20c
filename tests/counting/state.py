"""Everything that tracing might leave behind: flags of torch, hooks, modes and attributes of the modules."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from snn_energy.counting.tags import ATTRIBUTE


def hook_tables(net: nn.Module) -> list[tuple[str, list[int]]]:
    return [
        (f"{path}.{name}", list(table))
        for path, module in net.named_modules()
        for name, table in vars(module).items()
        if name.endswith("_hooks") and hasattr(table, "__len__")
    ]


def flags() -> dict[str, Any]:
    return {
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "fastpath": torch.backends.mha.get_fastpath_enabled(),
        "mkldnn": torch.backends.mkldnn.enabled,
        "math": torch.backends.cuda.math_sdp_enabled(),
        "flash": torch.backends.cuda.flash_sdp_enabled(),
        "efficient": torch.backends.cuda.mem_efficient_sdp_enabled(),
        "cudnn sdp": torch.backends.cuda.cudnn_sdp_enabled(),
        "cudnn": torch.backends.cudnn.enabled,
        "default dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "rng": torch.get_rng_state().tolist(),
        "modes": torch.utils._python_dispatch._get_current_dispatch_mode(),
        "functions": (torch.matmul, F.linear, F.conv2d, F.scaled_dot_product_attention, nn.Module.__call__),
        "global hooks": [
            len(table)
            for name, table in vars(nn.modules.module).items()
            if name.startswith("_global_") and hasattr(table, "__len__")
        ],
    }


def tagged(net: nn.Module) -> list[str]:
    """Tensors of the modules that still carry something of a trace."""
    own = (*net.named_parameters(), *net.named_buffers())
    plain = [
        (f"{path}.{name}", value)
        for path, module in net.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, torch.Tensor)
    ]
    return [name for name, value in (*own, *plain) if hasattr(value, ATTRIBUTE)]


def snapshot(net: nn.Module) -> dict[str, Any]:
    return flags() | {
        "hooks": hook_tables(net),
        "training": [module.training for module in net.modules()],
        "attributes": [sorted(vars(module)) for module in net.modules()],
        "classes": [type(module) for module in net.modules()],
        "forwards": [module.forward.__func__ for module in net.modules()],
        "identity": [id(value) for value in (*net.parameters(), *net.buffers())],
        "versions": [value._version for value in (*net.parameters(), *net.buffers())],
        "requires grad": [value.requires_grad for value in net.parameters()],
        "gradients": [value.grad for value in net.parameters()],
        "values": [value.tolist() for value in net.state_dict().values()],
        "tags": tagged(net),
    }
