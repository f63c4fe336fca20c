"""Reference spiking networks: neurons, the CNN, folding, snapping, the registry and checkpoints."""

from __future__ import annotations

from snn_energy.models.checkpoints import (
    Checkpoint,
    load_checkpoint,
    load_state_dict_file,
    save_checkpoint,
)
from snn_energy.models.folding import fold
from snn_energy.models.inputs import InputSpec
from snn_energy.models.neurons import IF, LIF, SpikingNeuron
from snn_energy.models.registry import build, model_names, register
from snn_energy.models.snapping import snap
from snn_energy.models.spiking_cnn import SpikingCNN
from snn_energy.models.zoo import checkpoint_path, pretrained, pretrained_names

__all__ = [
    "IF",
    "LIF",
    "Checkpoint",
    "InputSpec",
    "SpikingCNN",
    "SpikingNeuron",
    "build",
    "checkpoint_path",
    "fold",
    "load_checkpoint",
    "load_state_dict_file",
    "model_names",
    "pretrained",
    "pretrained_names",
    "register",
    "save_checkpoint",
    "snap",
]
