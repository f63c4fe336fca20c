"""The network that a command exports or simulates, and its data, from the words that name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from snn_energy.errors import UsageError

if TYPE_CHECKING:
    from snn_energy.reporting.subject import DataRequest, Subject


def named_subject(
    checkpoint: str | None,
    data: DataRequest,
    *,
    verb: str,
    model: str | None = None,
    model_args: str | None = None,
    convention: str | None = None,
    dt: float | None = None,
    nir: bool = True,
    graphs: bool = False,
) -> Subject:
    """The network that the words name, with its data: a checkpoint, a .nir file, or one of the user's own.

    `verb` is what the command does with it, for the error line; `convention` and `dt` are for a .nir file; `nir`
    and `graphs` say whether .nir files and .onnx files will do: those can be run, these be counted, and no more.

    Raises:
        UsageError: nothing named, or what cannot be used.
        CheckpointError, DataError, TraceError: a file that cannot be used.
    """
    from snn_energy.reporting.graphfile import is_graph_file, is_nir_file
    from snn_energy.reporting.subject import checkpoint_subject, factory_subject, graph_subject, nir_subject

    is_nir = model is None and checkpoint is not None and is_nir_file(checkpoint)
    if not is_nir and (convention is not None or dt is not None):
        raise UsageError(
            f"--from and --from-dt say how a .nir file is read (got {checkpoint or model}); leave them out"
        )
    if model is not None:
        return factory_subject(model, data, weights=checkpoint, arguments=model_args)
    if model_args is not None:
        raise UsageError("--model-args are for the function that --model names: give --model MODULE:FACTORY as well")
    if checkpoint is None:
        raise UsageError(f"nothing to {verb}: name a checkpoint, like fashion-cnn, or give --model MODULE:FACTORY")
    if is_nir and nir:
        return nir_subject(checkpoint, data, convention=convention, dt=dt)
    if is_graph_file(checkpoint) and graphs:
        return graph_subject(checkpoint, data)
    if is_nir or is_graph_file(checkpoint):
        raise UsageError(
            f"{checkpoint}: this command needs a network, not its exported graph (expected a checkpoint"
            f"{', a .nir file' if nir else ''} or --model); name the network that it was made from"
        )
    return checkpoint_subject(checkpoint, data)
