"""What the exact gate counts, and what its counting processes tell of it.

All of it follows from shapes, so that it is the same on every x86 CPU of the last
years: fused twins are counted by the operators that run there, for which it must have
AVX2. What a compiler makes of a model is its own affair, though, and told apart.
"""

from __future__ import annotations

import msgspec

from bench.grid import Grid
from bench.record import Counts
from bench.trial import Path

# Both kinds of block, every placement, as written and fused.
GRID = Grid(architectures=("resnet18", "resnet50"), reductions=(16,), paths=(Path(), Path("fused")))
QUANTITIES = (
    "params", "se_params", "macs", "elementwise_ops", "ideal_bytes", "operators",
    "live_peak_bytes",
)  # fmt: skip
# They may change with torch's version, and with what its compiler finds the CPU can do.
COMPILED = ("graphs", "graph_breaks", "graph_operators")
# The field of Versions on which nothing that follows from shapes depends, from AVX2 on.
CAPABILITY = "cpu_capability"


class Versions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """What counting depends on, beside the source."""

    torch: str
    torchvision: str
    cpu_capability: str

    def differences(self, before: Versions) -> list[str]:
        """One line for each field in which ``before`` differs from these."""
        return [
            f"{name} was {getattr(before, name)}, is {getattr(self, name)}"
            for name in self.__struct_fields__
            if getattr(self, name) != getattr(before, name)
        ]


class Exact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """The counts of a trial, and what torch's compiler makes of its model.

    ``graphs`` are those into which the forward is cut at ``graph_breaks``
    places; ``graph_operators`` are called in them.
    """

    counts: Counts
    graphs: int
    graph_breaks: int
    graph_operators: int

    def row(self) -> dict[str, str | int]:
        """The variant, its transform, and a number for every quantity."""
        trial = self.counts.trial
        return {
            "variant": trial.variant.key,
            "transform": trial.path.transform,
            **{name: getattr(self.counts, name) for name in QUANTITIES},
            **{name: getattr(self, name) for name in COMPILED},
        }


Told = Versions | Exact
