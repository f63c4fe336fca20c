"""What a word on the command line names: a report, a trace, an exported or NIR graph, a checkpoint, or a function."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from snn_energy.counting.tracefile import FORMAT, file_bytes

Kind = Literal["report", "trace", "graph", "nir", "checkpoint", "factory"]

GRAPH_SUFFIXES = (".onnx", ".pt2")
NIR_SUFFIX = ".nir"
FACTORY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
"""MODULE:FACTORY, a function that makes a network."""
RUNS_ANEW: frozenset[Kind] = frozenset({"checkpoint", "factory"})
"""What can be changed before it runs: time steps, weights."""


def kind_of(word: str) -> Kind:
    """The kind of source that `word` names, by its form and, of JSON files, by what they say they are.

    Raises:
        DataError: a JSON file that cannot be read.
    """
    if FACTORY.fullmatch(word) and not Path(word).exists():
        return "factory"
    name = word.lower()
    if name.endswith(GRAPH_SUFFIXES):
        return "graph"
    if name.endswith(NIR_SUFFIX):
        return "nir"
    if not name.endswith((".json", ".gz")):
        return "checkpoint"
    if not Path(word).is_file():  # whoever reads it says that there is none
        return "trace" if name.endswith(".gz") else "report"
    beginning = file_bytes(word)[:200]  # both forms write their format first
    return "trace" if f'"{FORMAT}"'.encode() in beginning or name.endswith(".gz") else "report"


def short_names(words: list[str]) -> dict[str, str]:
    """Each word and the shortest name that tells it apart: the file's, or the word where two files share a name."""
    files = [Path(word).name for word in words]
    return {word: name if files.count(name) == 1 else word for word, name in zip(words, files, strict=True)}
