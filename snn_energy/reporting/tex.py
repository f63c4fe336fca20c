"""Plain text as LaTeX."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SPACE = re.compile(r"[^\S\u00a0]+")
_MARKS: Mapping[str, str] = {
    "\\": r"\textbackslash{}",
    **{mark: f"\\{mark}" for mark in "&%$#_"},
    "{": r"\textbraceleft{}",  # a mere backslash would upset BibTeX, which counts braces
    "}": r"\textbraceright{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "µ": r"$\mu$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "…": r"\ldots{}",
    "–": "--",
    "→": r"$\rightarrow$",
    "\u00a0": "~",
}


def escaped(text: str) -> str:
    """Text whose marks LaTeX prints instead of obeying; letters of any script stay, for engines that read UTF-8.

    Straight quotation marks become `...' pairs of LaTeX where they are paired, else one straight mark.
    """
    if text.count('"') % 2 == 0:
        parts = text.split('"')
        return "".join(
            _escaped(part) + ("" if i == len(parts) - 1 else "``" if i % 2 == 0 else "''")
            for i, part in enumerate(parts)
        )
    return _escaped(text)


def code(text: str) -> str:
    """Text in a typewriter font."""
    return rf"\texttt{{{_escaped(text)}}}"


def _escaped(text: str) -> str:
    return "".join(_MARKS.get(letter, letter) for letter in _SPACE.sub(" ", text))
