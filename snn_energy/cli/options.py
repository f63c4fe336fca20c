"""Options that several commands share, so that one help text and one spelling hold everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|PATH",
        help="Data set, folder of images, .npy, .npz or .pt; default: the checkpoint's own.",
        show_default=False,
    ),
]
SplitOption = Annotated[str, typer.Option(metavar="train|test", help="Split of a named data set.")]
DataDirOption = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Where a named data set lies.", show_default=False)
]
SamplesOption = Annotated[
    int | None, typer.Option(metavar="N", help="Only the first N samples; default: all.", show_default=False)
]
FirstSamplesOption = Annotated[
    int | None,
    typer.Option(metavar="N", help="Only the first N samples; default: 1000, or all if fewer.", show_default=False),
]
LayoutOption = Annotated[
    str, typer.Option(metavar="N|TN|NT", help="Leading axes of an array: samples, or time steps too.")
]
ModelOption = Annotated[
    str | None,
    typer.Option(metavar="MODULE:FACTORY", help="Your own network, made by this function.", show_default=False),
]
ModelArgsOption = Annotated[
    str | None, typer.Option(metavar="JSON", help="Arguments of the --model function.", show_default=False)
]
BatchSizeOption = Annotated[int, typer.Option(metavar="N", help="Samples per call.")]


def hardware_names() -> list[str]:
    """Names that complete an option or argument for a hardware profile."""
    from snn_energy.hardware import list_hardware

    return list(list_hardware())


HardwareOption = Annotated[
    str,
    typer.Option(metavar="NAME|PATH", help="Hardware profile: what each action costs.", autocompletion=hardware_names),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON; energies in pJ.")]
