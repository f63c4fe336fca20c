"""Reference spiking networks: neurons, architectures, folding, snapping, the registry and checkpoints."""

from __future__ import annotations

from snn_energy.models.cells import ALIFCell, IFCell, LeakyIntegrator, LIFCell
from snn_energy.models.checkpoints import (
    Checkpoint,
    load_checkpoint,
    load_state_dict_file,
    save_checkpoint,
)
from snn_energy.models.folding import fold, foldable
from snn_energy.models.inputs import InputSpec
from snn_energy.models.neurons import IF, LIF, SpikingNeuron
from snn_energy.models.registry import build, model_names, register
from snn_energy.models.sew_resnet import SEWResNet
from snn_energy.models.snapping import round_weights, snap
from snn_energy.models.spiking_cnn import SpikingCNN
from snn_energy.models.spiking_recurrent import SpikingRecurrent
from snn_energy.models.spiking_transformer import SpikingTransformer
from snn_energy.models.spiking_vgg import SpikingVGG
from snn_energy.models.windowed import (
    ProjectionWarning,
    PureCNN,
    WindowedCNN,
    WindowedRNN,
    projection_range,
    use_encoder,
)
from snn_energy.models.zoo import checkpoint_path, pretrained, pretrained_names

__all__ = [
    "IF",
    "LIF",
    "ALIFCell",
    "Checkpoint",
    "IFCell",
    "InputSpec",
    "LIFCell",
    "LeakyIntegrator",
    "ProjectionWarning",
    "PureCNN",
    "SEWResNet",
    "SpikingCNN",
    "SpikingNeuron",
    "SpikingRecurrent",
    "SpikingTransformer",
    "SpikingVGG",
    "WindowedCNN",
    "WindowedRNN",
    "build",
    "checkpoint_path",
    "fold",
    "foldable",
    "load_checkpoint",
    "load_state_dict_file",
    "model_names",
    "pretrained",
    "pretrained_names",
    "projection_range",
    "register",
    "round_weights",
    "save_checkpoint",
    "snap",
    "use_encoder",
]
