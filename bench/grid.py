"""From what a person asked for to trials, and from trials to blocks.

A block is what one worker measures at once: the plain trunk, a control (a
second trunk), and at most six variants of one setting; beside a path that is
not the plain one also the trunk by the plain path. Eight or nine arms lie close
enough in time for a ratio within a round to mean something.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from bench.record import Arm
from bench.trial import Device, DType, Layout, Path, Setting, Trial, Variant, Workload
from se_models.config import STAGES, Architecture, Placement, SEConfig

VARIANTS_PER_BLOCK = 6

# SE where the seed's author says it works: late, or with a bottleneck of at least 32.
LATE_STAGE = (
    SEConfig("standard", stages=(4,)),
    SEConfig("standard", stages=(3, 4)),
    SEConfig("prenorm", reduction=8, stages=(3,), blocks="last"),
    SEConfig("standard", min_hidden=32),
)

# By which ways of executing models, beside PyTorch as it comes, SE's cost is shown unasked.
OTHER_PATHS = (Path("fused"), Path(executor="onnxruntime"))


@dataclass(frozen=True)
class Grid:
    """All combinations of what each field lists; ``extra`` configurations come on top.

    By ``other_paths`` go the placements at the paper's ratio only.
    """

    architectures: tuple[Architecture, ...] = ("resnet18",)
    placements: tuple[Placement, ...] = (
        "standard", "pre", "post", "identity", "inner", "prenorm",
    )  # fmt: skip
    reductions: tuple[int, ...] = (2, 4, 8, 16, 32)
    stages: tuple[tuple[int, ...], ...] = (STAGES,)
    blocks: tuple[Literal["all", "last"] | tuple[int, ...], ...] = ("all",)
    min_hiddens: tuple[int, ...] = (1,)
    devices: tuple[Device, ...] = ("cpu",)
    dtypes: tuple[DType, ...] = ("float32",)
    layouts: tuple[Layout, ...] = ("contiguous",)
    batches: tuple[int, ...] = (1,)
    sizes: tuple[int, ...] = (224,)
    threads: tuple[int, ...] = (1,)
    paths: tuple[Path, ...] = (Path(),)
    extra: tuple[SEConfig, ...] = ()
    other_paths: tuple[Path, ...] = ()

    def configs(self) -> list[SEConfig]:
        """The SE configurations, without repeats; the trunk is always among them, first."""
        combined = [
            SEConfig(placement, reduction, stages, blocks, min_hidden)
            for min_hidden, stages, blocks, reduction, placement in product(
                self.min_hiddens, self.stages, self.blocks, self.reductions, self.placements
            )
            if placement != "none"
        ]
        return list(dict.fromkeys([SEConfig("none"), *combined, *self.extra]))

    def workloads(self) -> list[Workload]:
        axes = product(
            self.devices, self.dtypes, self.layouts, self.batches, self.sizes, self.threads
        )
        return [Workload(*values) for values in axes]

    def trials(self) -> list[Trial]:
        """Every variant under every workload by every path."""
        published = [SEConfig("none"), *(SEConfig(name) for name in self.placements)]
        by_path = {
            **{path: list(dict.fromkeys(published)) for path in self.other_paths},
            **{path: self.configs() for path in self.paths},
        }
        return [
            Trial(Variant(architecture, config), workload, path)
            for architecture in self.architectures
            for workload in self.workloads()
            for path in (*self.paths, *(p for p in self.other_paths if p not in self.paths))
            for config in by_path[path]
        ]


@dataclass(frozen=True)
class PlannedBlock:
    """The arms that ride together: trunk, control, variants."""

    setting: Setting
    arms: tuple[Arm, ...]

    @property
    def key(self) -> str:
        """A name that follows from the arms alone, so that a later run finds the block again."""
        names = "\n".join(sorted(f"{arm.role} {arm.trial.key}" for arm in self.arms))
        return f"{self.setting.key}#{hashlib.sha256(names.encode()).hexdigest()[:8]}"

    @property
    def variants(self) -> tuple[Trial, ...]:
        return tuple(arm.trial for arm in self.arms if arm.role == "variant")

    @property
    def judged(self) -> tuple[Arm, ...]:
        """The arms whose overhead over the trunk is asked for, the control's included."""
        return tuple(arm for arm in self.arms if arm.role in ("control", "variant"))


def plan_blocks(
    trials: Iterable[Trial], standing: Sequence[PlannedBlock] = ()
) -> list[PlannedBlock]:
    """The blocks that measure ``trials``, as few and as full as can be.

    Trials that already ride in a block of ``standing`` stay there, and what
    was measured of them counts. Variants are taken in the order given, so
    that neighbours are measured together.
    """
    wanted = list(dict.fromkeys(trials))
    kept = [block for block in standing if set(_riders(block)) & set(wanted)]
    # That the eager trunk rides along somewhere does not measure it in its own setting.
    placed = {arm.trial for block in kept for arm in block.arms if arm.role != "eager"}
    by_setting: dict[Setting, list[Trial]] = {}
    for trial in wanted:
        if trial not in placed:
            by_setting.setdefault(trial.setting, []).append(trial)
    return kept + [block for setting, left in by_setting.items() for block in _fill(setting, left)]


def _riders(block: PlannedBlock) -> tuple[Trial, ...]:
    """The trials that a block is there for: its variants, or the trunk if it has none."""
    return block.variants or (block.arms[0].trial,)


def _fill(setting: Setting, trials: Sequence[Trial]) -> list[PlannedBlock]:
    trunk = Trial(Variant(setting.architecture), setting.workload, setting.path)
    variants = [trial for trial in trials if trial != trunk]
    chunks = [
        variants[start : start + VARIANTS_PER_BLOCK]
        for start in range(0, len(variants), VARIANTS_PER_BLOCK)
    ] or [[]]
    return [
        PlannedBlock(
            setting,
            (
                Arm(trunk, "trunk"),
                Arm(trunk, "control"),
                *(() if setting.path.is_plain else (Arm(trunk.eager_trunk, "eager"),)),
                *(Arm(trial, "variant") for trial in chunk),
            ),
        )
        for chunk in chunks
    ]
