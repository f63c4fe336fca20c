"""What is reused, how spikes are stored and how wide values are: declared, and the same for the SNN and its ANN.

A policy is written behind the name of a method, as words between commas: `arithmetic+memory:outputs,aer,time-reuse`.

| words                               | meaning                                                                      |
|-------------------------------------|------------------------------------------------------------------------------|
| none, weights, inputs, outputs, all | what stays beside the arithmetic through one pass of a layer (a time step):  |
|                                     | a value that stays moves once for each pass, one that does not once for each |
|                                     | operation; "all" (default) is the least that any machine moves               |
| time-reuse                          | weights that stay do so through all time steps of an inference               |
| bitmap, aer, csr                    | how operands are stored where zeros are skipped, see `encodings`             |
| words                               | each value takes accesses of its own; default: values share them, all bits   |
|                                     | of an access are used                                                        |
| stored                              | sums go through memory on their way to the activation or neuron behind them; |
|                                     | default: they are handed on                                                  |
| trace-bits                          | values are as wide as they ran; default: the profile's operand_bits, the     |
|                                     | width that its arithmetic is priced for                                      |
| dram=NAME                           | the DRAM, where a profile has several; default: the first in its file        |

The kinds of reuse are the usual taxonomy of dataflows: V. Sze, Y.-H. Chen, T.-J. Yang, J. S. Emer, "Efficient
Processing of Deep Neural Networks: A Tutorial and Survey", Proceedings of the IEEE 105(12), 2017, section V-B.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, Literal, get_args

from snn_energy.errors import UsageError

Reuse = Literal["none", "weights", "inputs", "outputs", "all"]
Encoding = Literal["bitmap", "aer", "csr"]

_DRAM = "dram="


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """See the module for the meaning of each choice."""

    reuse: Reuse = "all"
    encoding: Encoding = "bitmap"
    time_reuse: bool = False
    words: bool = False
    stored: bool = False
    trace_bits: bool = False
    dram: str | None = None

    def keeps(self, what: Literal["weights", "inputs", "outputs"]) -> bool:
        """Whether values of this kind stay beside the arithmetic through a pass."""
        return self.reuse in (what, "all")

    @property
    def text(self) -> str:
        """The words of all that differs from the default, in one order; empty where nothing does."""
        default = Policy()
        changed = {
            f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != getattr(default, f.name)
        }
        return ",".join(word for word, choice in _WORDS.items() if choice.items() <= changed.items()) + (
            "" if self.dram is None else f"{',' if changed.keys() - {'dram'} else ''}{_DRAM}{self.dram}"
        )

    def to_dict(self) -> dict[str, Any]:
        """The choices as plain values."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


_WORDS: Mapping[str, dict[str, Any]] = {
    **{word: {"reuse": word} for word in get_args(Reuse)},
    **{word: {"encoding": word} for word in get_args(Encoding)},
    "time-reuse": {"time_reuse": True},
    "words": {"words": True},
    "stored": {"stored": True},
    "trace-bits": {"trace_bits": True},
}


def parsed_policy(text: str) -> Policy:
    """The policy that words between commas declare; what they do not name keeps its default.

    Raises:
        UsageError: an unknown word, two words for one choice, or time reuse of weights that do not stay.
    """
    chosen: dict[str, Any] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        choice = {"dram": word.removeprefix(_DRAM)} if word.startswith(_DRAM) else _WORDS.get(word)
        if choice is None:
            close = get_close_matches(word, _WORDS, n=1)
            meant = f"did you mean {close[0]!r}? " if close else ""
            raise UsageError(f"memory: unknown option {word!r}; {meant}known: {', '.join(_WORDS)}, {_DRAM}NAME")
        if choice.keys() & chosen.keys():
            raise UsageError(f"memory: {word!r} and another option decide the same in {text!r}; give one of them")
        chosen |= choice
    policy = Policy(**chosen)
    if policy.time_reuse and not policy.keeps("weights"):
        raise UsageError(
            f'memory: time-reuse keeps weights through the time steps, but reuse "{policy.reuse}" lets them go within '
            'one; add "weights" or "all", or leave time-reuse out'
        )
    return policy
