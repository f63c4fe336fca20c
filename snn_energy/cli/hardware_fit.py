"""`snn-energy hardware fit`: does a network fit on a chip, and on how many cores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from snn_energy.cli.console import emit_json, print_block, print_line

if TYPE_CHECKING:
    from snn_energy.costing.chipfit_records import ChipFit
    from snn_energy.counting.counts import Trace

_TRACES = (".json", ".json.gz")


def fit_command(
    network: Annotated[
        str,
        typer.Argument(metavar="CHECKPOINT|TRACE", help="A checkpoint, the name of a shipped one, or a trace file."),
    ],
    hardware: Annotated[str, typer.Option(metavar="NAME|PATH", help="Profile with the limits of a chip.")],
    weight_bits: Annotated[
        int | None,
        typer.Option(metavar="B", help="Bits of a stored weight; the chip's widest at most, if not given."),
    ] = None,
    chips: Annotated[int, typer.Option(metavar="N", help="How many chips there are.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Lay a network out on a chip; exit with 1 if it does not fit.

    Neurons, axons, weight memory and cores of every layer against the published limits, layer by layer; a limit that
    the profile does not state is named as unchecked.

    \b
    Examples:
      snn-energy hardware fit fashion-cnn --hardware loihi
      snn-energy hardware fit fashion-cnn --hardware speck --json
      snn-energy hardware fit counts.json.gz --hardware truenorth-total
    """
    from snn_energy.costing.chipfit import fit
    from snn_energy.hardware import load_hardware

    profile = load_hardware(hardware)  # a wrong name should fail before the network runs
    result = fit(_trace_of(network), profile, weight_bits=weight_bits, chips=chips)
    if json:
        emit_json(result.to_dict())
    else:
        _print(result)
    if not result.fits:
        raise typer.Exit(1)


def _trace_of(network: str) -> Trace:
    """The trace in a file, or that of one image of noise: the shapes of the layers are all that is read."""
    if network.endswith(_TRACES):
        from snn_energy.counting.tracefile import load_trace

        return load_trace(network)

    import torch

    from snn_energy.counting.tracing import trace
    from snn_energy.models.checkpoints import load_checkpoint
    from snn_energy.models.zoo import checkpoint_path

    checkpoint = load_checkpoint(checkpoint_path(network))
    noise = torch.randint(256, (1, *checkpoint.input.shape), generator=torch.Generator().manual_seed(0))
    return trace(checkpoint.model, checkpoint.input.apply(noise.to(torch.uint8)))


def _print(result: ChipFit) -> None:
    from rich.table import Table

    table = Table("layer", box=None, pad_edge=False)
    for heading in ("neurons", "fan-in", "cores", "neurons a core", "inputs a core", "weight bits a core"):
        table.add_column(heading, justify="right", max_width=11)
    for layer in result.layers:
        numbers = (
            layer.neurons,
            layer.fan_in,
            layer.cores,
            layer.neurons_per_core,
            layer.input_axons_per_core,
            layer.weight_memory_bits_per_core,
        )
        table.add_row(layer.name, *("-" if number is None else f"{number:,}" for number in numbers))
    print_block(table)
    print_line("")
    taken = "" if result.cores is None else f", {result.cores:,} core{'' if result.cores == 1 else 's'}"
    have = "" if result.cores_available is None or result.cores is None else f" of {result.cores_available:,}"
    if result.fits and result.cores is None:
        print_block(f"no published limit of {result.hardware} is exceeded; those of its cores are not published")
    elif result.fits:
        print_block(f"fits on {result.hardware}{taken}{have}")
    else:
        print_block(f"does not fit on {result.hardware}{taken}{have}, because")
        _print_list(result.reasons)
    for heading, lines in (("assumed", result.assumptions), ("not checked: the profile lacks", result.unchecked)):
        if lines:
            print_line(f"\n{heading}")
            _print_list(lines)


def _print_list(lines: tuple[str, ...]) -> None:
    from rich.padding import Padding

    for line in lines:
        print_block(Padding(f"- {line}", (0, 0, 0, 2)))
