"""What is reused, how spikes are stored and how wide values are: declared, and the same for the SNN and its ANN.

A policy is written behind the name of a method, as words between commas: `arithmetic+memory:weights,aer,time-reuse`.

| words                     | meaning                                                                                |
|---------------------------|----------------------------------------------------------------------------------------|
| weights, inputs, outputs, | what stays beside the arithmetic through one pass of a layer (a time step): values     |
| all, none                 | that stay move once for each pass, all of them, used or not; those that do not, once   |
|                           | for each operation. Default: all. "inputs,outputs" is an event-driven core, which      |
|                           | reads weights for spikes alone: where spikes are few, it moves less than "all"         |
| time-reuse                | weights that stay do so through all time steps of an inference                         |
| bitmap, aer, csr          | how operands are stored where zeros are skipped, see `encodings`; default: bitmap      |
| words                     | each value takes accesses of its own; default: values share them, all bits of an       |
|                           | access are used                                                                        |
| stored                    | sums go through memory on their way to the activation or neuron behind them; default:  |
|                           | they are handed on                                                                     |
| trace-bits                | values are as wide as they ran; default: the profile's operand_bits, the width that    |
|                           | its arithmetic is priced for                                                           |
| dram=NAME                 | the DRAM, where a profile has several; default: the first in its file                  |

The kinds of reuse are the usual taxonomy of dataflows: V. Sze, Y.-H. Chen, T.-J. Yang, J. S. Emer, "Efficient
Processing of Deep Neural Networks: A Tutorial and Survey", Proceedings of the IEEE 105(12), 2017, section V-B.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, Literal, get_args

from snn_energy.errors import UsageError

Staying = Literal["weights", "inputs", "outputs"]
Encoding = Literal["bitmap", "aer", "csr"]

STAYING: tuple[Staying, ...] = get_args(Staying)
_DRAM = "dram="


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """See the module for the meaning of each choice."""

    stays: tuple[Staying, ...] = STAYING
    """In the order of STAYING."""
    encoding: Encoding = "bitmap"
    time_reuse: bool = False
    words: bool = False
    stored: bool = False
    trace_bits: bool = False
    dram: str | None = None

    def keeps(self, what: Staying) -> bool:
        """Whether values of this kind stay beside the arithmetic through a pass."""
        return what in self.stays

    @property
    def text(self) -> str:
        """The words of all that differs from the default, in one order; empty where nothing does."""
        default = Policy()
        words: list[str] = [] if self.stays == STAYING else [*self.stays] or [_NONE]
        words += [
            word
            for word, choice in _WORDS.items()
            if all(getattr(self, key) == value != getattr(default, key) for key, value in choice.items())
        ]
        return ",".join(words if self.dram is None else [*words, f"{_DRAM}{self.dram}"])

    def to_dict(self) -> dict[str, Any]:
        """The choices as plain values."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"stays": list(self.stays)}


_ALL, _NONE = "all", "none"
_STAYS: Mapping[str, tuple[Staying, ...]] = {_ALL: STAYING, _NONE: (), **{kind: (kind,) for kind in STAYING}}
_WORDS: Mapping[str, dict[str, Any]] = {
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
    staying: dict[str, tuple[Staying, ...]] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        if word in _STAYS:
            if word in staying or (staying and {_ALL, _NONE} & {word, *staying}):
                raise _twice(word, text)
            staying[word] = _STAYS[word]
            continue
        choice = {"dram": word.removeprefix(_DRAM)} if word.startswith(_DRAM) else _WORDS.get(word)
        if choice is None:
            known = (*_STAYS, *_WORDS)
            close = get_close_matches(word, known, n=1)
            meant = f"did you mean {close[0]!r}? " if close else ""
            raise UsageError(f"memory: unknown option {word!r}; {meant}known: {', '.join(known)}, {_DRAM}NAME")
        if choice.keys() & chosen.keys():
            raise _twice(word, text)
        chosen |= choice
    if staying:
        found = {kind for kinds in staying.values() for kind in kinds}
        chosen["stays"] = tuple(kind for kind in STAYING if kind in found)
    policy = Policy(**chosen)
    if policy.time_reuse and not policy.keeps("weights"):
        raise UsageError(
            f"memory: time-reuse keeps weights through the time steps, but {text!r} lets them go within one; add "
            '"weights", or leave time-reuse out'
        )
    return policy


def _twice(word: str, text: str) -> UsageError:
    return UsageError(f"memory: {word!r} and another option decide the same in {text!r}; give one of them")
