"""Runs the notebooks of this folder anew and writes what they print into them.

    python docs/notebooks.py [FOLDER]      # into this folder, or into another one

Equal packages give equal bytes: times and versions are left out.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SECONDS_PER_CELL = 300


def executed(path: Path) -> str:
    """The notebook at `path` as JSON, run from top to bottom; CellExecutionError names a cell that fails."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    folder = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=SECONDS_PER_CELL, kernel_name="python3", resources=folder).execute()
    _forget_the_run(notebook)
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def _forget_the_run(notebook: Any) -> None:
    """Leave only what does not change from run to run."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index}"
        cell.metadata = {}
        for output in cell.get("outputs", ()):
            if "text/html" in output.get("data", {}):
                output["data"].pop("text/plain", None)  # every field of the record, which nobody reads


def main(target: Path) -> None:
    """Build every notebook into `target`."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(HERE.glob("*.ipynb")):
        (target / path.name).write_text(executed(path), encoding="utf-8")
        print(f"wrote {target / path.name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
