"""ONNX files of whole models, or of one stage alone, each run and compared before it is kept."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import ResNet

INPUT, OUTPUT = "input", "output"
STAGES = ("layer1", "layer2", "layer3", "layer4")
# Batches that an exported file is run with; it was traced with another.
BATCHES = (1, 2, 5)
_TRACED_BATCH = 3
# How far a file may be from eager, as max|a - b| / max|b|: rounding explains the first of any
# network, and of one that amplifies it a few times what eager's float32 is off from float64. A
# wrong operator is off by more than the last.
TOLERANCE = 1e-4
_ROUNDINGS = 4
_MOST = 1e-2


class ExportError(RuntimeError):
    """The exported file does not compute what the model does."""


@dataclass(frozen=True)
class Check:
    """What came out of a file: by how much it differs from eager at most, for each batch size.

    ``differences`` are max|a - b| / max|b|, and ``limits`` what was allowed.
    """

    path: Path
    shape: tuple[int, ...]
    differences: dict[int, float]
    limits: dict[int, float]

    @property
    def largest(self) -> float:
        return max(self.differences.values())

    @property
    def limit(self) -> float:
        """What was allowed of the largest difference."""
        return self.limits[max(self.differences, key=self.differences.__getitem__)]


def export(
    model: ResNet,
    path: Path,
    *,
    stage: str | None = None,
    size: int = 224,
    batches: Sequence[int] = BATCHES,
) -> Check:
    """Write a model as an ONNX file, run it in onnxruntime, and keep it if it is right.

    The input is ``input``, the output ``output``, the batch is dynamic. The
    model is exported in eval mode, and left as it is.

    Args:
        model: a ResNet of torchvision's or of this package, of float32, on the CPU.
        path: of the file; one that lies there is overwritten, but only by one that is right.
        stage: ``layer1`` to ``layer4`` to write that one alone. What it is given
            to compare is what the model gives it.
        size: of the images, in pixels; a stage's input follows from it.
        batches: how many images to compare with.

    Raises:
        ValueError: naming the argument, its rule and what it is.
        ExportError: if the file computes something else. It is not kept; a note of the
            error tells of an older one that still lies there.
    """
    check_file(path)
    check_size(size)
    if stage is not None and stage not in STAGES:
        raise ValueError(f"stage must be one of {', '.join(STAGES)}, got {stage!r}")
    if not batches or min(batches) < 1:
        raise ValueError(f"batches must be at least one, of 1 image or more, got {tuple(batches)}")
    devices = {parameter.device.type for parameter in model.parameters()}
    if devices != {"cpu"}:
        raise ValueError(f"model must be on the CPU, got {' and '.join(sorted(devices))}")
    dtypes = {parameter.dtype for parameter in model.parameters()}
    if dtypes != {torch.float32}:
        raise ValueError(f"model must be of float32, got {', '.join(sorted(map(str, dtypes)))}")
    model = copy.deepcopy(model).eval()
    part = model if stage is None else model.get_submodule(stage)
    example = _given(model, stage, _TRACED_BATCH, size)
    with _kept_if_right(path) as draft:
        draft.write_bytes(to_onnx(part, example))
        differences: dict[int, float] = {}
        limits = dict.fromkeys(batches, TOLERANCE)
        for batch in batches:
            given = _given(model, stage, batch, size)
            differences[batch] = _difference(draft, part, given)
            # What rounding explains takes a forward in float64, so it is asked only where it tells.
            if not differences[batch] <= TOLERANCE:
                limits[batch] = _checked_limit(differences[batch], part, given)
    return Check(path, tuple(example.shape[1:]), differences, limits)


def check_file(path: Path) -> None:
    """Refuse what no file can be written to.

    Raises:
        ValueError: if it is a folder, has no name, or is to lie where none can.
    """
    if not path.name or (path.exists() and not path.is_file()):
        raise ValueError(f"file must be the path of a file, got {path}")
    nearest = next(each for each in path.absolute().parents if each.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise ValueError(
            f"file must be in a folder that can be written to, got {path}, and {nearest} is none"
        )


def check_size(size: int) -> None:
    """Refuse images that are too small.

    Raises:
        ValueError: if they are.
    """
    if size < 33:
        raise ValueError(f"size must be 33 or more, got {size}: layer4 would see a single pixel")


@torch.no_grad()
def to_onnx(model: nn.Module, example: Tensor, *, any_batch: bool = True) -> bytes:
    """A module in eval mode as ONNX, for inputs like ``example``, of any batch or of its own."""
    program = torch.onnx.export(
        model,
        (example,),
        input_names=[INPUT],
        output_names=[OUTPUT],
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},) if any_batch else None,
        verbose=False,
    )
    assert program is not None
    return program.model_proto.SerializeToString()


@contextmanager
def _kept_if_right(path: Path) -> Iterator[Path]:
    """A draft beside ``path``, which takes its place unless an exception ends the block.

    Then folders that were made for it go again. A file that lies there is an
    older one, and a note of the exception says so.
    """
    path = path.resolve()  # or a link would be replaced, not what it leads to
    made = [folder for folder in path.parents if not folder.exists()]  # the innermost first
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".draft.{os.getpid()}")  # not by its name, which may be long
    try:
        yield draft
        draft.replace(path)
    except BaseException as error:  # Ctrl-C, too
        draft.unlink(missing_ok=True)
        with suppress(OSError):  # somebody else may have put something there
            for folder in made:
                folder.rmdir()
        if path.exists():
            error.add_note(f"what lies at {path} is an older file, as it was")
        raise


def _given(model: ResNet, stage: str | None, batch: int, size: int) -> Tensor:
    """Random images, or what the model makes of them until they reach a stage."""
    generator = torch.Generator().manual_seed(batch)
    images = torch.randn(batch, model.conv1.in_channels, size, size, generator=generator)
    if stage is None:
        return images
    seen: list[Tensor] = []
    hook = model.get_submodule(stage).register_forward_pre_hook(
        lambda _module, inputs: seen.append(inputs[0].clone())
    )
    try:
        with torch.no_grad():
            model(images)
    finally:
        hook.remove()
    return seen[0]


@torch.no_grad()
def _difference(path: Path, module: nn.Module, given: Tensor) -> float:
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (output,) = session.run([OUTPUT], {INPUT: given.numpy()})
    except Exception as error:  # its own kinds have no base but this
        raise ExportError(f"onnxruntime cannot run the exported file: {error}") from error
    expected: Tensor = module(given)
    if not expected.isfinite().all():
        raise ExportError(
            f"the model's own output is not finite for {len(given)} images, so no file can be "
            "compared with it; it is not kept"
        )
    return _relative(torch.from_numpy(output), expected)


def _checked_limit(difference: float, module: nn.Module, given: Tensor) -> float:
    """The most that rounding explains; a file that is off by more is refused.

    Raises:
        ExportError: if it is.
    """
    allowed = max(TOLERANCE, min(_ROUNDINGS * _rounding(module, given), _MOST))
    if not difference <= allowed:
        raise ExportError(
            f"the exported file differs from the model by {difference:.2g} for {len(given)} "
            f"images, and {allowed:.2g} is the most that rounding explains; it is not kept"
        )
    return allowed


@torch.no_grad()
def _rounding(module: nn.Module, given: Tensor) -> float:
    """By how much eager's float32 differs from float64."""
    exact = copy.deepcopy(module).double()(given.double())
    return _relative(module(given), exact)


def _relative(found: Tensor, expected: Tensor) -> float:
    """max|a - b| / max|b|, and 0 of equal ones that are all zero, as of a head not yet trained."""
    off = (found - expected).abs().max()
    return 0.0 if off == 0 else float(off / expected.abs().max())
