"""How good a network is, measured by all processes of a training together, and in every form that it has."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from snn_energy.models.inputs import InputSpec
from snn_energy.models.windowed.encoders import SpikeEncoder
from snn_energy.training.distributed import World
from snn_energy.training.evaluation import Evaluation, evaluate
from snn_energy.training.events import EvaluationProgress, Event
from snn_energy.training.imageset import ImageSet


class Examiner:
    """Evaluates networks on images of one form; `seed` decides what random encoders draw."""

    def __init__(self, spec: InputSpec, world: World, tell: Callable[[Event], None], seed: int) -> None:
        self.spec, self.world, self.tell, self.seed = spec, world, tell, seed

    def __call__(self, model: nn.Module, images: ImageSet, what: str) -> Evaluation:
        """Evaluate `model` on `images`, each process on its share; all of them get the whole result."""

        def report(done: int, total: int) -> None:
            self.tell(EvaluationProgress(what=what, done=done, total=total))

        share = self.world.share(len(images))
        torch.manual_seed(self.seed + self.world.rank)
        mine = 0
        if share.start < share.stop:
            mine = evaluate(model, images.part(share.start, share.stop), self.spec, progress=report).correct
        (correct,) = self.world.total([float(mine)])
        return Evaluation(correct=int(correct), total=len(images))

    def by_encoder(self, model: nn.Module, images: ImageSet) -> dict[str, Evaluation]:
        """Evaluate with the spike encoders' form for training and with that for evaluation, where the two differ."""
        encoders = [module for module in model.modules() if isinstance(module, SpikeEncoder)]
        original = [encoder.evaluation_form for encoder in encoders]
        forms = {encoder.training_form for encoder in encoders} | set(original)
        if len(forms) < 2:
            return {}
        results = {}
        try:
            for form in sorted(forms):
                for encoder in encoders:
                    encoder.evaluation_form = form
                results[form] = self(model, images, f"{form} encoder")
        finally:
            for encoder, form in zip(encoders, original, strict=True):
                encoder.evaluation_form = form
        return results
