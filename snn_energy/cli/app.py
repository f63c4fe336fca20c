"""The command line: one table of commands, one file for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from snn_energy.cli import (
    calibrate,
    explain,
    export,
    hardware,
    pareto,
    plot,
    price,
    profile,
    report,
    selftest,
    sensitivity,
    simulate,
    train,
)
from snn_energy.cli.group import Group, RootGroup
from snn_energy.version import package_version

COMMANDS: Mapping[str, Callable[..., Any] | typer.Typer] = {
    "profile": profile.profile_command,
    "price": price.price_command,
    "explain": explain.explain_command,
    "calibrate": calibrate.calibrate_command,
    "train": train.train_command,
    "sensitivity": sensitivity.sensitivity_command,
    "pareto": pareto.pareto_command,
    "plot": plot.plot_command,
    "report": report.report_command,
    "export": export.app,
    "simulate": simulate.app,
    "hardware": hardware.app,
    "selftest": selftest.selftest_command,
}
"""Command name -> its function, or the typer application of its subcommands; help lists them in this order.

To add a command: write `snn_energy/cli/NAME.py` with one annotated function whose docstring is the help, then
add one row here. Heavy imports go inside the function, examples into a paragraph of the docstring that begins
with a line holding only backslash-b; the first sentence fits into 60 characters, or the list cuts it short.
"""

_SETTINGS = {"help_option_names": ["-h", "--help"]}


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"snn-energy {package_version()}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Exact energy reports for spiking neural networks.

    Exit codes: 0 done, 1 found wanting (bad input, a failed check), 2 wrong usage.

    \b
    Examples:
      snn-energy profile fashion-cnn
      snn-energy train --recipe digits-cnn
      snn-energy hardware list
    """


def build(commands: Mapping[str, Callable[..., Any] | typer.Typer] = COMMANDS) -> typer.Typer:
    """Assemble the application from a table of commands."""

    class Root(RootGroup):
        """The root group in the order of the table: typer alone would list groups before commands."""

        def list_commands(self, ctx: Any) -> list[str]:
            return [name for name in commands if self.get_command(ctx, name) is not None]

    root = typer.Typer(
        cls=Root,
        callback=_root,
        context_settings=_SETTINGS,
        rich_markup_mode=None,  # plain help: quick, the same in a pipe, and it keeps the layout of examples
        pretty_exceptions_enable=False,
    )
    for name, command in commands.items():
        if isinstance(command, typer.Typer):
            root.add_typer(command, name=name, cls=Group, context_settings=_SETTINGS)
        else:
            root.command(name, context_settings=_SETTINGS)(command)
    return root


app = build()
