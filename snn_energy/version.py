"""The version of this package."""

from __future__ import annotations

from pathlib import Path


def package_version() -> str:
    """Version of this package: from the checkout it runs in, else from the installed distribution."""
    import tomllib
    from importlib.metadata import version

    beside = Path(__file__).resolve().parents[1] / "pyproject.toml"
    if beside.is_file():
        project = tomllib.loads(beside.read_text(encoding="utf-8")).get("project", {})
        if project.get("name") == "snn-energy":
            return str(project["version"])
    return version("snn-energy")
