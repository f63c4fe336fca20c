"""What is profiled: a network and its data, resolved from the names and paths that a user gives."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from snn_energy.counting.skeleton import Graph
from snn_energy.errors import MODEL_ERRORS, UsageError, named_line
from snn_energy.inputs import EncodedSet, Encoding, Framing, InputSet, describe_source, load_inputs, source_names
from snn_energy.inputs.inputset import checked_seed
from snn_energy.models import InputSpec, checkpoint_path, load_checkpoint, load_state_dict_file
from snn_energy.models.checkpoints import refuse_misfit
from snn_energy.models.suggest import unknown
from snn_energy.reporting.assessment import AXES, Assessment, assess
from snn_energy.reporting.graphfile import load_graph, written_classes, written_input

DEFAULT_BATCH_SIZE = 250
"""Samples per call. Counts do not depend on it, except the number of calls."""

FACTORY_ERRORS = (*MODEL_ERRORS, OSError)
"""What the user's own code raises when it is wrong, or called wrongly."""

IMAGE_SIZE = re.compile(r"(\d+)(?:x(\d+)x(\d+))?")
"""C x H x W, or the channels of a line sensor alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRequest:
    """Which data to run: `source` None is the checkpoint's own data set, `samples` None all of them."""

    source: str | None = None
    split: str = "test"
    data_dir: str | Path | None = None
    layout: str = "N"
    resize: bool = False
    image_size: str | None = None
    """C x H x W of the images that a network of the user's own takes, like "3x32x32"."""
    samples: int | None = None
    encode: str | None = None
    """Encoder that spreads still images over `encode_steps` time steps; `seed` is for one that draws numbers."""
    encode_steps: int | None = None
    seed: int = 0
    frames: int | None = None
    """Time steps that event data are cut into, each `bin_ms` milliseconds or an equal share of the recording."""
    bin_ms: float | None = None

    def encoding(self) -> Encoding | None:
        """The encoder asked for; UsageError for one without its number of steps, or steps without an encoder."""
        if self.encode is None:
            if self.encode_steps is not None:
                raise UsageError("--encode-steps needs --encode, like --encode rate")
            return None
        if self.encode_steps is None:
            raise UsageError(f"--encode {self.encode} needs --encode-steps T, the number of time steps")
        return Encoding(name=self.encode, steps=self.encode_steps, seed=self.seed)

    def framing(self) -> Framing | None:
        """How events are cut; UsageError for a width of bins without their number."""
        if self.frames is None:
            if self.bin_ms is not None:
                raise UsageError("--bin-ms needs --frames T: recordings differ in length, batches do not")
            return None
        return Framing(steps=self.frames, bin_ms=self.bin_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A network ready to run, with its data."""

    model: nn.Module | Graph
    name: str
    checkpoint: str | None
    """File name of the weights, without its folder."""
    images: InputSet
    spec: InputSpec | None
    """How pixels become inputs; None divides 8-bit pixels by 255."""
    describe: Callable[[int], str]
    """What ran, in words, if it was this number of samples."""

    @property
    def has_twin(self) -> bool:
        """False for an exported graph, whose neurons cannot be replaced."""
        return not isinstance(self.model, Graph)

    @property
    def dataset(self) -> str:
        """What is to run, in words."""
        return self.describe(len(self.images))

    def assess(
        self, *, batch_size: int = DEFAULT_BATCH_SIZE, device: str | torch.device | None = None, **options: Any
    ) -> Assessment:
        """Assess this network on these data, on `device`, where it stays; `options` as in `assessment.assess`.

        Raises:
            UsageError: `batch_size` below 1.
        """
        if batch_size < 1:
            raise UsageError(f"batch size must be >= 1 (got {batch_size}); try {DEFAULT_BATCH_SIZE}")
        if isinstance(self.model, Graph):
            batch_size = self._batch_size_of_graph(self.model, batch_size)

        def moved(made: Iterable[tuple[Tensor, Tensor | None]]) -> Iterable[tuple[Tensor, Tensor | None]]:
            return made if device is None else ((x.to(device), labels) for x, labels in made)

        def batches() -> Iterable[tuple[Tensor, Tensor | None]]:
            return moved(self.images.batches(batch_size, self.spec))

        def still() -> Iterable[tuple[Tensor, Tensor | None]]:
            assert isinstance(self.images, EncodedSet)
            return moved(self.images.still(batch_size, self.spec))

        if device is not None and options.get("ann") is not None:
            name, ann = options["ann"]
            options["ann"] = name, ann.to(device)
        assessment = assess(
            self.model if device is None or isinstance(self.model, Graph) else self.model.to(device),
            batches,
            layout=self.images.layout,
            still=still if isinstance(self.images, EncodedSet) else None,
            dataset=self.dataset,
            model_name=self.name,
            checkpoint=self.checkpoint,
            identity={"data set": self.dataset, "batch size": str(batch_size)},
            **options,
        )
        return replace(assessment, dataset=self.describe(assessment.report.trace.samples))

    def _batch_size_of_graph(self, graph: Graph, wanted: int) -> int:
        """The size of batch that a graph was exported for, if it takes no other."""
        fixed = graph.fixed_size(AXES[self.images.layout][0])
        if fixed is not None and len(self.images) % fixed:
            raise UsageError(
                f"{self.checkpoint}: it takes {fixed} samples at a time (got {len(self.images)}); give --samples a "
                "multiple of that, or export it with a free batch size"
            )
        return wanted if fixed is None else fixed


def checkpoint_subject(checkpoint: str, data: DataRequest, time_steps: int | None = None) -> Subject:
    """A checkpoint of this package: a path, or the name of a shipped one.

    Raises:
        UsageError: no such name, or options that do not fit a checkpoint.
        CheckpointError, DataError: a file that cannot be used.
    """
    if data.image_size is not None:
        raise UsageError(
            "--image-size is for a network of your own (--model); a checkpoint knows its input: use --resize"
        )
    path = checkpoint_path(checkpoint)
    loaded = load_checkpoint(path)
    if time_steps is not None:
        _set_time_steps(loaded.model, loaded.model_name, time_steps)
    source = loaded.dataset if data.source is None else data.source
    images, describe = _load(data, source, loaded.input.shape, loaded.classes, resize=data.resize)
    return Subject(
        model=loaded.model,
        name=loaded.model_name,
        checkpoint=path.name,
        images=images,
        spec=loaded.input,
        describe=describe,
    )


def graph_subject(path: str, data: DataRequest, *, trust: bool = False) -> Subject:
    """An exported graph: an .onnx file, or a .pt2 program if `trust` says so.

    Raises:
        UsageError: no data are named, or a .pt2 file without `trust`.
        TraceError, DataError: a file that cannot be used.
    """
    graph = load_graph(path, trust=trust)
    return _written_subject(path, data, graph, type(graph.root).__name__, graph.properties)


def nir_subject(
    path: str,
    data: DataRequest,
    *,
    convention: str | None = None,
    dt: float | None = None,
    time_steps: int | None = None,
) -> Subject:
    """A NIR graph: a .nir file; `convention`, `dt` and `time_steps` as in `nirgraph.load_nir`.

    Raises:
        UsageError: no data are named, or options that NIR does not know.
        DataError: a file that cannot be used.
    """
    from snn_energy.nirgraph import load_nir

    network = load_nir(path, convention=convention, dt=dt, time_steps=time_steps)
    network.layout = data.layout
    return _written_subject(path, data, network.eval(), Path(path).name, network.properties)


def _written_subject(
    path: str, data: DataRequest, model: nn.Module | Graph, name: str, properties: Mapping[str, str]
) -> Subject:
    """What a file holds, with the data that are named, else those that its `properties` name.

    Raises:
        UsageError: no data are named.
        DataError: properties or data that cannot be used.
    """
    spec = written_input(properties, path)
    source = data.source or properties.get("snn_energy.dataset")
    if source is None:
        raise UsageError(f"{path} needs --data: a data set ({', '.join(source_names())}), file or folder")
    wanted = None if data.image_size is None else _parse_size(data.image_size)
    shape = wanted if spec is None else spec.shape
    resize = data.resize or wanted is not None
    images, describe = _load(data, source, shape, written_classes(properties), resize=resize)
    return Subject(model=model, name=name, checkpoint=Path(path).name, images=images, spec=spec, describe=describe)


def factory_subject(
    factory: str,
    data: DataRequest,
    *,
    weights: str | None = None,
    arguments: str | None = None,
    time_steps: int | None = None,
    seed: int = 0,
) -> Subject:
    """A network of the user's own: `package.module:factory`, called with `arguments` (a JSON object).

    `weights` is a plain state dict; without it the factory's own weights are used, drawn with `seed`.

    Raises:
        UsageError: the factory is not found, fails, or makes no module; no data are named.
        CheckpointError, DataError: a file that cannot be used.
    """
    if data.source is None:
        raise UsageError(f"--model {factory} needs --data: a data set ({', '.join(source_names())}), file or folder")
    shape = None if data.image_size is None else _parse_size(data.image_size)
    torch.manual_seed(checked_seed(seed))
    model = _build(factory, _parse_arguments(arguments))
    if weights is not None:
        _load_weights(model, Path(weights), factory)
    if time_steps is not None:
        _set_time_steps(model, factory, time_steps)
    images, describe = _load(data, data.source, shape, None, resize=data.resize or shape is not None)
    return Subject(
        model=model.eval(),
        name=factory,
        checkpoint=None if weights is None else Path(weights).name,
        images=images,
        spec=None,
        describe=describe,
    )


def built_ann(factory: str, *, weights: str | None = None, seed: int = 0) -> nn.Module:
    """An ANN to compare with: `package.module:factory`, with a state dict or with weights drawn with `seed`.

    Raises:
        UsageError: the factory is not found, fails, or makes no module.
        CheckpointError: weights that cannot be used.
    """
    torch.manual_seed(checked_seed(seed))
    model = _build(factory, {}, "--ann")
    if weights is not None:
        _load_weights(model, Path(weights), factory, "--ann")
    return model.eval()


def _load(
    data: DataRequest,
    source: str,
    shape: tuple[int, ...] | None,
    classes: tuple[str, ...] | None,
    *,
    resize: bool,
) -> tuple[InputSet, Callable[[int], str]]:
    """The images and what to call a number of them: names without folders, so that reports agree between machines."""
    encoding, framing = data.encoding(), data.framing()
    images = load_inputs(
        source,
        data.split,
        data_dir=data.data_dir,
        shape=shape,
        layout=data.layout,
        resize=resize,
        classes=classes,
        encoding=encoding,
        framing=framing,
    )
    available = len(images)
    if data.samples is not None:
        if not 1 <= data.samples <= available:
            raise UsageError(f"{source}: expected between 1 and {available} samples (got {data.samples})")
        images = images.part(0, data.samples)
    which = describe_source(source, data.split)

    def describe(used: int) -> str:
        count = f"all {available:,}" if used == available else f"first {used:,} of {available:,}"
        text = f"{which}, {count} samples" if available != 1 else f"{which}, 1 sample"
        return ", ".join([text, *(str(how) for how in (encoding, framing) if how is not None)])

    return images, describe


def _set_time_steps(model: nn.Module, name: str, time_steps: int) -> None:
    if time_steps < 1:
        raise UsageError(f"--time-steps must be >= 1 (got {time_steps})")
    if not isinstance(getattr(model, "time_steps", None), int):
        raise UsageError(
            f"--time-steps: {name} has no attribute time_steps to set; give T to its factory with "
            "--model-args, or as an axis of the data with --layout"
        )
    model.time_steps = time_steps  # type: ignore[assignment]


def _parse_size(text: str) -> tuple[int, ...]:
    match = IMAGE_SIZE.fullmatch(text)
    if match is None or "0" in match.groups():
        raise UsageError(f"--image-size must be CxHxW, like 3x32x32, or the channels of a line sensor (got {text!r})")
    return tuple(int(number) for number in match.groups() if number is not None)


def _parse_arguments(text: str | None) -> Mapping[str, Any]:
    if text is None:
        return {}
    try:
        value = json.loads(text)
    except ValueError as problem:
        raise UsageError(
            f"--model-args must be a JSON object, like '{{\"width\": 8}}' (got {text!r}: {problem})"
        ) from None
    if not isinstance(value, dict):
        raise UsageError(f"--model-args must be a JSON object, like '{{\"width\": 8}}' (got {text!r})")
    return value


def _build(factory: str, arguments: Mapping[str, Any], option: str = "--model") -> nn.Module:
    function = _find_factory(factory, option)
    try:
        model = function(**arguments)
    except FACTORY_ERRORS as problem:
        raise UsageError(
            f"{option} {factory} failed ({named_line(problem)}); "
            + ("check its arguments (--model-args)" if option == "--model" else "it is called without arguments")
        ) from problem
    if not isinstance(model, nn.Module):
        raise UsageError(f"{option} {factory} must make a torch.nn.Module (got {type(model).__name__})")
    return model


def _find_factory(factory: str, option: str) -> Callable[..., Any]:
    module_name, _, function_name = factory.partition(":")
    if not module_name or not function_name:
        raise UsageError(f"{option} must be package.module:factory (got {factory!r})")
    here = os.getcwd()  # noqa: PTH109 (sys.path holds text)
    if here not in sys.path:
        sys.path.insert(0, here)  # as `python -m` does
    try:
        module = importlib.import_module(module_name)
    except (SyntaxError, *FACTORY_ERRORS) as problem:
        raise UsageError(
            f"{option} {factory}: cannot import {module_name} ({named_line(problem)}); "
            "run the command in the folder that holds it"
        ) from problem
    found: Any = module
    for part in function_name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise UsageError(f"{option} {factory}: {unknown('factory', function_name, names)}")
    return found  # type: ignore[no-any-return]


def _load_weights(model: nn.Module, path: Path, factory: str, option: str = "--model") -> None:
    """Give the network its weights after every name and shape has been compared."""
    state = load_state_dict_file(path)
    of, shapes = ("network", "check --model-args") if option == "--model" else ("ANN", "check what its factory makes")
    refuse_misfit(path, state, model.state_dict(), factory, f"give the state dict of this {of}", shapes)
    model.load_state_dict(state)
