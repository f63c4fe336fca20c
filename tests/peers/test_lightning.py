"""The callback in a real Lightning Trainer."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import snn_energy as se
from snn_energy.models import LIF

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]  # Lightning warns of small logs, workers, devices
lightning = pytest.importorskip("pytorch_lightning")


class Net(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.time_steps = 2
        self.layers = nn.Sequential(nn.Linear(4, 8), LIF(decay=0.5), nn.Linear(8, 3))

    def forward(self, x):
        return self.layers(x.expand(2, *x.shape)).mean(0)

    def training_step(self, batch, _):
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch, _):
        self.log("loss", nn.functional.cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.5)


def test_it_logs_what_profiling_says(tmp_path):
    rng = torch.Generator().manual_seed(0)
    images, labels = torch.rand(32, 4, generator=rng) * 3, torch.randint(0, 3, (32,), generator=rng)
    data = DataLoader(TensorDataset(images, labels), batch_size=8)
    log, net = se.EnergyLog(images, every=2), Net()
    trainer = lightning.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        callbacks=[se.lightning_callback(log)],
    )
    trainer.fit(net, data, data)
    assert [record["epoch"] for record in log.records] == [0, 2]
    now = se.profile(net, images)
    assert now.trace.layers == log.report.trace.layers  # the last validation saw the last weights
    shown = trainer.callback_metrics
    assert shown["energy/energy_per_inference_pj"].item() == pytest.approx(now.energy_per_inference_pj, rel=1e-6)
    assert shown["energy/complete"] == 1
