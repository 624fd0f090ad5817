"""What can be measured: a Variant of a network, a Workload for it, a Path to run it by.

A Trial is the three together. Each has a ``key``: a short ASCII name, stable
from run to run, by which records find each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, cast, get_args

from se_models.config import ARCHITECTURES, BLOCKS, Architecture, SEConfig, check_positive

Device = Literal["cpu", "cuda"]
DType = Literal["float32", "float16", "bfloat16"]
Layout = Literal["contiguous", "channels_last"]
Transform = Literal["none", "folded", "fused"]
ExecutorName = Literal[
    "eager", "compile", "compile_freezing", "onnxruntime", "openvino", "cuda_graph"
]

DEVICES: tuple[Device, ...] = get_args(Device)
DTYPES: tuple[DType, ...] = get_args(DType)
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
TRANSFORMS: tuple[Transform, ...] = get_args(Transform)
EXECUTORS: tuple[ExecutorName, ...] = get_args(ExecutorName)
# Those that call the operators of a model, one by one; the others make code of their own of it.
_DISPATCHING: tuple[ExecutorName, ...] = ("eager", "cuda_graph")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise a ValueError that names ``name`` unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


@dataclass(frozen=True)
class Variant:
    """An architecture with SE in one way; placement ``none`` is the plain trunk."""

    architecture: Architecture
    se: SEConfig = field(default_factory=lambda: SEConfig("none"))

    def __post_init__(self) -> None:
        check_choice("architecture", self.architecture, ARCHITECTURES)
        for stage in self.se.stages:
            self.se.blocks_of(stage, BLOCKS[self.architecture][stage - 1])

    @property
    def trunk(self) -> Variant:
        return Variant(self.architecture)

    @property
    def key(self) -> str:
        return f"{self.architecture}/{self.se.label}"


@dataclass(frozen=True)
class Workload:
    """What a network is given, and with how much of the machine: inference in eval mode."""

    device: Device = "cpu"
    dtype: DType = "float32"
    layout: Layout = "contiguous"
    batch: int = 1
    size: int = 224
    threads: int = 1

    def __post_init__(self) -> None:
        check_choice("device", self.device, DEVICES)
        check_choice("dtype", self.dtype, DTYPES)
        check_choice("layout", self.layout, LAYOUTS)
        check_positive("batch", self.batch)
        check_positive("size", self.size)
        check_positive("threads", self.threads)

    @property
    def key(self) -> str:
        return (
            f"{self.device}-{self.dtype}-{self.layout}-b{self.batch}-{self.size}px-{self.threads}t"
        )


@dataclass(frozen=True)
class Path:
    """How a network is executed: what is done to the model, and what then runs it.

    ``folded`` has BatchNorm folded into convolutions and is else as written;
    ``fused`` has the tails of its blocks in one pass each besides.
    """

    transform: Transform = "none"
    executor: ExecutorName = "eager"

    def __post_init__(self) -> None:
        check_choice("transform", self.transform, TRANSFORMS)
        check_choice("executor", self.executor, EXECUTORS)

    @classmethod
    def named(cls, name: str) -> Path:
        """The path of a key or a label: a transform, an executor, or both joined by ``+``."""
        transform, plus, executor = name.partition("+")
        if not plus and name in TRANSFORMS:
            return cls(transform=name)
        if not plus:
            names = (*TRANSFORMS, *EXECUTORS)
            if name not in names:
                raise ValueError(
                    f"path must be one of {', '.join(names)}, or one of the first "
                    f"{len(TRANSFORMS)} and one of the others joined by +, got {name!r}"
                )
            transform, executor = "none", name
        return cls(cast(Transform, transform), cast(ExecutorName, executor))

    @property
    def key(self) -> str:
        return f"{self.transform}+{self.executor}"

    @property
    def label(self) -> str:
        """The key without what stands at its default: what tables and pictures say."""
        if self.transform == "none":
            return self.executor
        return self.transform if self.executor == "eager" else self.key

    @property
    def is_plain(self) -> bool:
        """Whether it is PyTorch as it comes, which other paths are compared with."""
        return self == Path()

    @property
    def calls_operators(self) -> bool:
        """Whether what is counted of an eager forward, operator by operator, holds for it."""
        return self.executor in _DISPATCHING


@dataclass(frozen=True)
class Setting:
    """All that a trial and the trunk it is compared with have in common."""

    architecture: Architecture
    workload: Workload
    path: Path = field(default_factory=Path)

    @property
    def key(self) -> str:
        return f"{self.architecture}@{self.workload.key}@{self.path.key}"


@dataclass(frozen=True)
class Trial:
    """One variant under one workload by one path: a row of the table."""

    variant: Variant
    workload: Workload
    path: Path = field(default_factory=Path)

    @property
    def key(self) -> str:
        return f"{self.variant.key}@{self.workload.key}@{self.path.key}"

    @property
    def setting(self) -> Setting:
        return Setting(self.variant.architecture, self.workload, self.path)

    @property
    def plain(self) -> Trial:
        """The trial whose output this one should have: it depends on no device, thread or path."""
        return Trial(self.variant, replace(self.workload, device="cpu", threads=1))

    @property
    def counted(self) -> Trial:
        """The trial whose counts this one shares: they depend on no thread and no executor."""
        device: Device = self.workload.device if self.counts_depend_on_device else "cpu"
        workload = replace(self.plain.workload, device=device)
        return Trial(self.variant, workload, Path(self.path.transform))

    @property
    def counts_depend_on_device(self) -> bool:
        """Whether a device has operators of its own for it: fused blocks have."""
        return self.path.transform == "fused"

    @property
    def trunk(self) -> Trial:
        """The plain network in the same setting, which this trial is compared with."""
        return Trial(self.variant.trunk, self.workload, self.path)

    @property
    def eager_trunk(self) -> Trial:
        """The plain network by the plain path, which all paths are compared with."""
        return Trial(self.variant.trunk, self.workload)
