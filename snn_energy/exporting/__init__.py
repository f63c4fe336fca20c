"""Networks written in formats that other tools read."""

from __future__ import annotations

from snn_energy.exporting.agreement import Agreement, verify_onnx
from snn_energy.exporting.failures import ExportError
from snn_energy.exporting.formats import FORMATS, Format
from snn_energy.exporting.forms import FORMS, Timing
from snn_energy.exporting.losses import ExportRefused, Loss, refuse_or_list
from snn_energy.exporting.metadata import checkpoint_metadata, read_report, report_metadata
from snn_energy.exporting.nir import ExportedNir, SpikeAgreement, export_nir, nir_graph
from snn_energy.exporting.onnx import ExportedModel, export_onnx

__all__ = [
    "FORMATS",
    "FORMS",
    "Agreement",
    "ExportError",
    "ExportRefused",
    "ExportedModel",
    "ExportedNir",
    "Format",
    "Loss",
    "SpikeAgreement",
    "Timing",
    "checkpoint_metadata",
    "export_nir",
    "export_onnx",
    "nir_graph",
    "read_report",
    "refuse_or_list",
    "report_metadata",
    "verify_onnx",
]
