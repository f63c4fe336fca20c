"""Data, recipes and the loop that trains the reference networks."""

from __future__ import annotations

from snn_energy.training.data import load_images
from snn_energy.training.datasets import dataset_names
from snn_energy.training.evaluation import Evaluation, evaluate
from snn_energy.training.events import BatchDone, EpochDone, EvaluationProgress, Event, TrainingStarted
from snn_energy.training.imageset import ImageSet
from snn_energy.training.learner import TrainingError
from snn_energy.training.logs import log_path
from snn_energy.training.loop import TrainResult, train
from snn_energy.training.penalty import Penalty, StatefulPenalty
from snn_energy.training.recipe import Recipe
from snn_energy.training.recipefile import changed, find_recipe, read_recipe, recipe_names
from snn_energy.training.state import state_path

__all__ = [
    "BatchDone",
    "EpochDone",
    "Evaluation",
    "EvaluationProgress",
    "Event",
    "ImageSet",
    "Penalty",
    "Recipe",
    "StatefulPenalty",
    "TrainResult",
    "TrainingError",
    "TrainingStarted",
    "changed",
    "dataset_names",
    "evaluate",
    "find_recipe",
    "load_images",
    "log_path",
    "read_recipe",
    "recipe_names",
    "state_path",
    "train",
]
