"""Reference networks by name: `@register("spiking-cnn")` on the class, `build("spiking-cnn")` anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

from torch import Tensor, nn

from snn_energy.errors import UsageError
from snn_energy.models.suggest import unknown


@runtime_checkable
class ReferenceNetwork(Protocol):
    """What a registered network offers beside nn.Module: its time steps and its constructor arguments."""

    time_steps: int

    def constructor_args(self) -> dict[str, Any]:
        """Return the arguments, of plain types, that build this network again; `time_steps` among them."""
        ...

    def __call__(self, images: Tensor) -> Tensor:
        """Map a batch of inputs to logits."""
        ...


NetworkClass = TypeVar("NetworkClass", bound=type[nn.Module])
_REGISTRY: dict[str, type[nn.Module]] = {}


def register(name: str) -> Callable[[NetworkClass], NetworkClass]:
    """Register the decorated network class under `name`; UsageError when the name is taken."""

    def add(cls: NetworkClass) -> NetworkClass:
        if name in _REGISTRY:
            raise UsageError(
                f"model name {name!r} is taken by {_REGISTRY[name].__qualname__}; register {cls.__qualname__}"
                " under another name"
            )
        _REGISTRY[name] = cls
        return cls

    return add


def model_names() -> tuple[str, ...]:
    """Return the registered names in alphabetical order."""
    return tuple(sorted(_REGISTRY))


def build(name: str, **args: Any) -> nn.Module:
    """Construct the network called `name`.

    Errors: UsageError for an unknown name (with a suggestion) or for arguments that it does not take.
    """
    if name not in _REGISTRY:
        raise unknown("model", name, _REGISTRY)
    try:
        return _REGISTRY[name](**args)
    except TypeError as error:
        raise UsageError(f"model {name!r}: {error}; see its constructor for the arguments") from error


def name_of(model: nn.Module) -> str:
    """Return the name under which the class of `model` is registered; UsageError when it is not."""
    for name, cls in _REGISTRY.items():
        if type(model) is cls:
            return name
    raise UsageError(
        f"{type(model).__qualname__} is not a registered model (known: {', '.join(model_names())}); only"
        " registered models can be saved as checkpoints"
    )
