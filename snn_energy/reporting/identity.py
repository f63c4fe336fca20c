"""What identifies a run, so that it is never continued with another network or other data."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_PLAIN = (bool, int, float, str, type(None))


def model_digest(model: nn.Module) -> str:
    """Digest of a network: its structure, the plain attributes of its modules, and all weights and buffers."""
    digest = hashlib.blake2b(digest_size=16)
    # A representation may show where a function lies in memory, which differs from run to run.
    digest.update(_ADDRESS.sub("", repr(model)).encode())
    for name, module in model.named_modules():
        plain = {key: value for key, value in vars(module).items() if isinstance(value, _PLAIN) and key != "training"}
        digest.update(repr((name, type(module).__qualname__, sorted(plain.items()))).encode())
    for name, tensor in model.state_dict().items():
        if isinstance(tensor, Tensor) and not nn.parameter.is_lazy(tensor):
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
            _feed(digest, tensor)
    return digest.hexdigest()


class DataDigest:
    """Digest of the batches that went by; taking in one more makes a new digest and leaves the old one alone."""

    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=16)

    def with_batch(self, batch: Iterable[Tensor | None]) -> DataDigest:
        """The digest after one more batch: inputs and labels."""
        more = DataDigest()
        more._digest = self._digest.copy()
        for tensor in batch:
            more._digest.update(b"none" if tensor is None else f"{tensor.dtype} {list(tensor.shape)}".encode())
            if tensor is not None:
                _feed(more._digest, tensor)
        return more

    def text(self) -> str:
        """The digest in hexadecimal."""
        return self._digest.hexdigest()


def _feed(digest: Any, tensor: Tensor) -> None:
    plain = tensor.detach().cpu().contiguous()
    if plain.is_quantized or plain.is_sparse:
        digest.update(repr(plain).encode())
    else:
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().data)
