"""Data, recipes and the loop that trains the reference networks."""

from __future__ import annotations

from snn_energy.training.data import load_images
from snn_energy.training.datasets import dataset_names
from snn_energy.training.evaluation import Evaluation, evaluate
from snn_energy.training.events import BatchDone, EpochDone, EvaluationProgress, Event, TrainingStarted
from snn_energy.training.imageset import ImageSet
from snn_energy.training.loop import TrainResult, train
from snn_energy.training.recipe import RECIPES, Recipe, find_recipe
from snn_energy.training.state import state_path

__all__ = [
    "RECIPES",
    "BatchDone",
    "EpochDone",
    "Evaluation",
    "EvaluationProgress",
    "Event",
    "ImageSet",
    "Recipe",
    "TrainResult",
    "TrainingStarted",
    "dataset_names",
    "evaluate",
    "find_recipe",
    "load_images",
    "state_path",
    "train",
]
