"""Which SE goes where: the frozen, validated choice that names a variant.

Nothing here imports torch, so that a result can be read, and ``--help``
answered, on a machine without it.

Placements follow Hu et al., "Squeeze-and-Excitation Networks" (arXiv
1709.01507, section 6.5 for ``pre``, ``post``, ``identity`` and ``inner``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Placement = Literal["none", "standard", "pre", "post", "identity", "inner", "prenorm"]
PLACEMENTS: tuple[Placement, ...] = get_args(Placement)
STAGES = (1, 2, 3, 4)

Architecture = Literal[
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)

# How many residual blocks layer1 to layer4 have.
BLOCKS: dict[Architecture, tuple[int, int, int, int]] = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
    "resnext50_32x4d": (3, 4, 6, 3),
    "resnext101_32x8d": (3, 4, 23, 3),
    "resnext101_64x4d": (3, 4, 23, 3),
    "wide_resnet50_2": (3, 4, 6, 3),
    "wide_resnet101_2": (3, 4, 23, 3),
}


@dataclass(frozen=True)
class SEConfig:
    """Where SE stands in a ResNet, and how wide its bottleneck is.

    Args:
        placement: where in the residual block, see ``se_models.blocks``.
        reduction: r; the bottleneck has ``channels // r`` hidden units.
        stages: which of ``layer1`` to ``layer4`` carry SE, as 1 to 4.
        blocks: which blocks of those stages: ``"all"``, ``"last"``, or their
            indices, counted from 0.
        min_hidden: the least width of the bottleneck. ReLU loses information
            in a narrow one; 32 is a common floor.
        bias: whether the two Linear layers have one.

    Raises:
        ValueError: naming the field, its rule and the value.
    """

    placement: Placement = "standard"
    reduction: int = 16
    stages: tuple[int, ...] = STAGES
    blocks: Literal["all", "last"] | tuple[int, ...] = "all"
    min_hidden: int = 1
    bias: bool = True

    def __post_init__(self) -> None:
        if self.placement not in PLACEMENTS:
            raise ValueError(
                f"placement must be one of {', '.join(PLACEMENTS)}, got {self.placement!r}"
            )
        check_positive("reduction", self.reduction)
        check_positive("min_hidden", self.min_hidden)
        object.__setattr__(self, "stages", _chosen_stages(self.stages))
        if not (isinstance(self.blocks, str) and self.blocks in ("all", "last")):
            object.__setattr__(self, "blocks", _chosen_blocks(self.blocks))
        if not isinstance(self.bias, bool):
            raise ValueError(f"bias must be True or False, got {self.bias!r}")

    def blocks_of(self, stage: int, count: int) -> tuple[int, ...]:
        """Which blocks of a stage that has ``count`` of them carry SE.

        Raises:
            ValueError: if one does not exist.
        """
        if self.blocks == "all":
            return tuple(range(count))
        if self.blocks == "last":
            return (count - 1,)
        missing = [index for index in self.blocks if index >= count]
        if missing:
            raise ValueError(
                f"blocks must exist in every chosen stage: layer{stage} of this model has blocks "
                f"0 to {count - 1}, got {missing[0]}"
            )
        return self.blocks

    @property
    def label(self) -> str:
        """A short, stable, ASCII name; what stands at its default is left out."""
        if self.placement == "none":
            return "none"
        parts = [self.placement, f"r{self.reduction}"]
        if self.stages != STAGES:
            parts.append("layer" + "+".join(map(str, self.stages)))
        if self.blocks == "last":
            parts.append("last")
        elif self.blocks != "all":
            parts.append("block" + "+".join(map(str, self.blocks)))
        if self.min_hidden != 1:
            parts.append(f"min{self.min_hidden}")
        if not self.bias:
            parts.append("nobias")
        return "-".join(parts)


def check_positive(field: str, value: object) -> None:
    """Raise a ValueError that names ``field`` unless ``value`` is an integer above 0."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{field} must be a positive integer, got {value!r}")


def _chosen_stages(stages: object) -> tuple[int, ...]:
    rule = "stages must be a non-empty selection of 1 to 4 (layer1 to layer4)"
    if isinstance(stages, str) or not hasattr(stages, "__iter__"):
        raise ValueError(f"{rule}, got {stages!r}")
    chosen = tuple(stages)
    if not chosen or any(type(stage) is not int or stage not in STAGES for stage in chosen):
        raise ValueError(f"{rule}, got {stages!r}")
    return tuple(sorted(set(chosen)))


def _chosen_blocks(blocks: object) -> tuple[int, ...]:
    rule = "blocks must be 'all', 'last' or a non-empty selection of indices from 0"
    if isinstance(blocks, str) or not hasattr(blocks, "__iter__"):
        raise ValueError(f"{rule}, got {blocks!r}")
    chosen = tuple(blocks)
    if not chosen or any(
        not isinstance(index, int) or isinstance(index, bool) or index < 0 for index in chosen
    ):
        raise ValueError(f"{rule}, got {blocks!r}")
    return tuple(sorted(set(chosen)))
