"""`snn-energy hardware`: list, show, check and write hardware profiles, and fit a network to a chip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snn_energy.cli.console import emit_json, print_line
from snn_energy.cli.hardware_fit import fit_command
from snn_energy.cli.hardware_show import print_profile
from snn_energy.cli.hardware_table import print_profiles
from snn_energy.cli.options import hardware_names
from snn_energy.errors import ProfileError, UsageError
from snn_energy.hardware import (
    all_hardware,
    display_path,
    list_hardware,
    load_hardware,
    locate_hardware,
    profile_template,
)

app = typer.Typer(rich_markup_mode=None)
"""The subcommands of `hardware`."""


@app.callback()
def _hardware() -> None:
    """List, show, check and write hardware profiles; fit a chip.

    A profile says what each action costs on one piece of hardware, in pJ. Own profiles: a path, a folder in
    $SNN_ENERGY_PROFILES, or a package named as an entry point of the group snn_energy.profiles.

    \b
    Examples:
      snn-energy hardware list
      snn-energy hardware show horowitz-45nm-fp32
      snn-energy hardware new my-chip --from loihi
      snn-energy hardware check my-chip.toml
      snn-energy hardware fit fashion-cnn --hardware loihi
    """


_Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command("list")
def list_command(json: _Json = False) -> None:
    """List the profiles.

    \b
    Examples:
      snn-energy hardware list
      snn-energy hardware list --json
    """
    profiles = all_hardware()
    if json:
        emit_json([profile.as_dict() for profile in profiles])
        return
    print_profiles(profiles)


@app.command("show")
def show_command(
    hardware: Annotated[
        str,
        typer.Argument(
            metavar="NAME|PATH",
            help="Name of a profile, or path of a TOML file.",
            autocompletion=hardware_names,
        ),
    ],
    json: _Json = False,
) -> None:
    """Show one profile: every number with its evidence and source.

    \b
    Examples:
      snn-energy hardware show horowitz-45nm-fp32
      snn-energy hardware show my-chip.toml --json
    """
    profile = load_hardware(hardware)
    if json:
        emit_json(profile.as_dict())
        return
    print_profile(profile)


@app.command("check")
def check_command(
    hardware: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME|PATH",
            help="Profiles to check; all of the list if none is given.",
            autocompletion=hardware_names,
            show_default=False,
        ),
    ] = None,
    json: _Json = False,
) -> None:
    """Check profiles against the schema; exit with 1 on problems.

    Every problem is listed, one line each.

    \b
    Examples:
      snn-energy hardware check
      snn-energy hardware check my-chip.toml --json
    """
    found = {path: _problems(path) for path in [locate_hardware(name) for name in hardware or list_hardware()]}
    if json:
        emit_json([{"path": display_path(path), "problems": problems} for path, problems in found.items()])
    else:
        for path, problems in found.items():
            for problem in problems:
                print_line(problem, style="red")
            if not problems:
                print_line(f"{display_path(path)}: ok", style="green")
    if any(found.values()):
        raise typer.Exit(1)


def _problems(path: Path) -> list[str]:
    """What is wrong with the profile at `path`, one line each."""
    try:
        load_hardware(path)
    except ProfileError as error:
        return str(error).splitlines()
    return []


@app.command("new")
def new_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new profile: lower case, digits, hyphens.")],
    base: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="NAME|PATH",
            help="Profile whose structure to take; its numbers become comments.",
            autocompletion=hardware_names,
        ),
    ] = "horowitz-45nm-fp32",
    json: Annotated[bool, typer.Option("--json", help="Print the path as JSON.")] = False,
) -> None:
    """Write NAME.toml, a profile to fill in, into this folder.

    What is left to fill in, check lists.

    \b
    Examples:
      snn-energy hardware new my-chip
      snn-energy hardware new my-chip --from loihi
      snn-energy hardware check my-chip.toml
    """
    from snn_energy.files import write_atomic

    path = Path(f"{name}.toml")
    if path.exists():
        raise UsageError(f"{path}: exists already and would be lost; choose another name, or remove it first")
    write_atomic(path, profile_template(name, load_hardware(base)).encode())
    if json:
        emit_json({"path": str(path)})
        return
    print_line(f"{path}: written; fill in what snn-energy hardware check {path} names")


app.command("fit")(fit_command)
