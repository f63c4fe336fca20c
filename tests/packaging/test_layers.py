"""Imports point one way, heavy libraries load late, only the command line prints.

Read off the syntax trees of `snn_energy/**`: nothing is imported here but the table of public names.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import snn_energy

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "snn_energy"
FILES = sorted(PACKAGE.rglob("*.py"))

# Common ground: exceptions, files written whole or not at all, what a notebook shows, our version. Every part may
# import these.
COMMON = {"errors", "files", "notebook", "version"}

# Part of the package -> the other parts it may import. A part is a folder or a file directly in the package; a
# dotted entry opens one module only.
MAY_IMPORT: dict[str, set[str]] = {
    "counting": set(),
    "hardware": set(),
    "costing": {"counting", "hardware"},
    "baselines": {"counting", "hardware", "costing"},
    "models": {"counting.taps"},
    "training": {"models"},
    "inputs": {"models", "training"},
    "simulating": {"counting", "hardware", "costing", "exporting"},
    "nirgraph": set(),
    "exporting": {"counting", "costing.timing.matrices", "nirgraph"},
    "selftest": {"counting", "models"},
    "tuning": {"counting", "hardware", "costing", "models"},
    "reporting": {"counting", "hardware", "costing", "baselines", "models", "training", "inputs", "nirgraph"},
    "cli": {
        "counting",
        "hardware",
        "costing",
        "baselines",
        "models",
        "training",
        "inputs",
        "nirgraph",
        "exporting",
        "simulating",
        "reporting",
        "selftest",
        "tuning",
    },
    "callbacks": {"counting", "hardware", "costing"},
    "__main__": {"cli"},
}

# What a part may name in annotations alone, under TYPE_CHECKING.
MAY_ANNOTATE: dict[str, set[str]] = {"exporting": {"models"}}

# Never imported at the top of a file, only inside the function that needs it (or under TYPE_CHECKING).
HEAVY = {
    "pandas",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "fvcore",
    "rich",
    "PIL",
    "safetensors",
    "sklearn",
    "tonic",
    "h5py",
    "tensorboard",
    "lightning",
    "pytorch_lightning",
}

# `python -m snn_energy.reporting.rebuild` is a command line of its own.
MAY_PRINT = {"cli", "reporting/rebuild.py"}


@dataclass(frozen=True)
class Import:
    """One imported module, and whether it is imported when the file loads, in a function, or for annotations."""

    module: str
    line: int
    when: str


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def is_module(dotted: str) -> bool:
    path = ROOT.joinpath(*dotted.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def modules_named_by(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: spell relative imports out"
        assert node.module is not None
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            yield inner if node.module.startswith("snn_energy") and is_module(inner) else node.module


def imports_of(node: ast.AST, when: str = "load") -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        yield from (Import(module, child.lineno, when) for module in modules_named_by(child))
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for statement in child.body:
                yield from imports_of(ast.Module([statement], []), "annotate")
            for statement in child.orelse:
                yield from imports_of(ast.Module([statement], []), when)
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from imports_of(child, when if when == "annotate" else "call")
        else:
            yield from imports_of(child, when)


def within(module: str, allowed: set[str]) -> bool:
    """Whether `snn_energy.a.b` lies in one of the allowed parts `a` or modules `a.b`."""
    inner = module.removeprefix("snn_energy.")
    return any(inner == name or inner.startswith(f"{name}.") for name in allowed)


def is_ours(module: str) -> bool:
    return module.split(".")[0] == "snn_energy"


each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))


def test_every_part_has_a_row():
    assert {part_of(path) for path in FILES} == {*MAY_IMPORT, *COMMON, "__init__"}


def test_the_table_has_no_cycle():
    rows = {part: {name.split(".")[0] for name in allowed} for part, allowed in MAY_IMPORT.items()}
    while leaves := {part for part, allowed in rows.items() if not allowed}:
        rows = {part: allowed - leaves for part, allowed in rows.items() if part not in leaves}
    assert rows == {}


@each_file
def test_imports_point_one_way(path):
    part = part_of(path)
    if part == "__init__":
        allowed: dict[str, set[str]] = {"load": set(), "call": set(), "annotate": COMMON | set(MAY_IMPORT)}
    else:
        run_time = COMMON | {part} | MAY_IMPORT.get(part, set())
        allowed = {"load": run_time, "call": run_time, "annotate": run_time | MAY_ANNOTATE.get(part, set())}
    wrong = [i for i in imports_of(tree_of(path)) if is_ours(i.module) and not within(i.module, allowed[i.when])]
    assert wrong == []


@each_file
def test_heavy_libraries_are_imported_where_used(path):
    wrong = [i for i in imports_of(tree_of(path)) if i.when == "load" and i.module.split(".")[0] in HEAVY]
    assert wrong == []


@pytest.mark.parametrize("part", ["__init__", "errors", "files", "hardware", "cli"])
def test_what_answers_quickly_does_not_load_torch(part):
    slow = {"torch", "numpy"}
    for path in FILES:
        if part_of(path) == part:
            wrong = [i for i in imports_of(tree_of(path)) if i.when == "load" and i.module.split(".")[0] in slow]
            assert wrong == [], path


@each_file
def test_only_the_command_line_prints(path):
    if {part_of(path), path.relative_to(PACKAGE).as_posix()} & MAY_PRINT:
        return
    tree = tree_of(path)
    assert [i for i in imports_of(tree) if i.module.split(".")[0] in ("typer", "click", "rich")] == []
    prints = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == "print")
        or (isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout", "sys.stderr"))
    ]
    assert prints == []


@each_file
def test_no_handler_catches_everything(path):
    for node in ast.walk(tree_of(path)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        kinds = {ast.unparse(kind) for kind in _kinds(node.type)}
        where = f"{path.name}, line {node.lineno}"
        assert kinds, f"{where}: bare except"
        assert "Exception" not in kinds, where
        if "BaseException" in kinds:  # fine for cleaning up, if the exception goes on
            assert ast.unparse(node.body[-1]) == "raise", f"{where}: must end with raise"


def _kinds(expression: ast.expr | None) -> list[ast.expr]:
    if expression is None:
        return []
    return list(expression.elts) if isinstance(expression, ast.Tuple) else [expression]


def test_no_module_bears_the_name_of_a_public_function():
    # Importing such a module would put it in the place of the function: snn_energy.costing.price is not callable.
    public = {*snn_energy.__all__, *(name for path in PACKAGE.glob("*/__init__.py") for name in _exported(path))}
    modules = {path.parent.name if path.stem == "__init__" else path.stem for path in FILES if part_of(path) != "cli"}
    assert modules & public == set()


def _exported(path: Path) -> list[str]:
    for node in tree_of(path).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return []


def test_the_checks_see_what_they_look_for():
    source = (
        "from typing import TYPE_CHECKING\n"
        "import pandas as pd\n"
        "from snn_energy.counting import taps\n"
        "if TYPE_CHECKING:\n    from snn_energy.models.checkpoints import Checkpoint\n"
        "else:\n    import onnx\n"
        "class A:\n    import rich.table\n    def f(self):\n        import torch\n"
        "try:\n    import typer\nexcept ImportError:\n    pass\n"
    )
    found = {(i.module, i.when) for i in imports_of(ast.parse(source))}
    assert found == {
        ("typing", "load"),
        ("pandas", "load"),
        ("snn_energy.counting.taps", "load"),
        ("snn_energy.models.checkpoints", "annotate"),
        ("onnx", "load"),
        ("rich.table", "load"),
        ("torch", "call"),
        ("typer", "load"),
    }
    assert within("snn_energy.counting.taps", {"counting.taps"})
    assert not within("snn_energy.counting.tapes", {"counting.tap"})
    assert not within("snn_energy", {"counting"})
