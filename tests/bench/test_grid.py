"""From a grid to trials, and from trials to blocks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.grid import LATE_STAGE, OTHER_PATHS, VARIANTS_PER_BLOCK, Grid, plan_blocks
from bench.trial import Path, Trial, Variant, Workload
from se_models.config import PLACEMENTS, SEConfig

grids = st.builds(
    Grid,
    architectures=st.sampled_from([("resnet18",), ("resnet18", "resnet50")]),
    placements=st.sets(st.sampled_from(PLACEMENTS), min_size=1).map(tuple),
    reductions=st.sets(st.integers(1, 32), min_size=1, max_size=4).map(tuple),
    batches=st.sampled_from([(1,), (1, 8)]),
    extra=st.sampled_from([(), LATE_STAGE]),
)


def test_the_default_choice_is_every_placement_ratio_and_the_late_stage_variants() -> None:
    """ResNet-18 has 30 variants of placement and ratio, 4 late ones, and the trunk."""
    trials = Grid(extra=LATE_STAGE).trials()
    assert len(trials) == 1 + 6 * 5 + 4
    assert trials[0].variant.se.placement == "none"
    labels = {trial.variant.se.label for trial in trials}
    assert {
        "standard-r16-layer4",
        "standard-r16-layer3+4",
        "prenorm-r8-layer3-last",
        "standard-r16-min32",
    } <= labels


def test_a_block_holds_all_placements_of_one_ratio() -> None:
    """What a person compares is measured side by side."""
    blocks = plan_blocks(Grid().trials())
    ratios = [{trial.variant.se.reduction for trial in block.variants} for block in blocks]
    assert ratios == [{2}, {4}, {8}, {16}, {32}]


@given(grids)
def test_every_trial_rides_in_exactly_one_block(grid: Grid) -> None:
    """Blocks hold a trunk, a control, at most six variants of one setting, and miss none."""
    trials = grid.trials()
    blocks = plan_blocks(trials)
    for block in blocks:
        assert [arm.role for arm in block.arms[:2]] == ["trunk", "control"]
        assert block.arms[0].trial == block.arms[1].trial == block.arms[0].trial.trunk
        assert len(block.variants) <= VARIANTS_PER_BLOCK
        assert {arm.trial.setting for arm in block.arms} == {block.setting}
    riding = [trial for block in blocks for trial in block.variants]
    assert sorted(trial.key for trial in riding) == sorted(
        trial.key for trial in trials if trial != trial.trunk
    )
    settings = {trial.setting for trial in trials}
    assert {block.setting for block in blocks} == settings
    assert len({block.key for block in blocks}) == len(blocks)


@given(grids)
def test_a_second_plan_finds_the_blocks_of_the_first(grid: Grid) -> None:
    """A block's key follows from its arms, in whatever order they are listed."""
    first = plan_blocks(grid.trials())
    assert [block.key for block in plan_blocks(grid.trials())] == [block.key for block in first]
    assert plan_blocks(grid.trials(), standing=first) == first


def test_trials_stay_in_the_blocks_where_they_were_measured() -> None:
    """A wider grid keeps the standing blocks and adds new ones for the rest alone."""
    narrow = plan_blocks(Grid(placements=("standard", "pre"), reductions=(16,)).trials())
    wide = plan_blocks(Grid(reductions=(16,)).trials(), standing=narrow)
    assert wide[0] == narrow[0]
    assert [trial.variant.se.placement for trial in wide[1].variants] == [
        "post", "identity", "inner", "prenorm",
    ]  # fmt: skip


def test_beside_another_path_the_eager_trunk_rides() -> None:
    """Which tells what the path makes of the trunk; it is no variant, and not judged."""
    grid = Grid(reductions=(16,), paths=(Path("fused"),))
    (block,) = plan_blocks(grid.trials())
    assert [arm.role for arm in block.arms] == ["trunk", "control", "eager", *["variant"] * 6]
    assert block.arms[2].trial == Trial(Variant("resnet18"), Workload())
    assert {arm.trial.path for arm in block.judged} == {Path("fused")}
    assert len(block.judged) == 7


def test_the_eager_trunk_of_another_path_has_no_block_yet() -> None:
    """Asked for by itself later, it gets one of its own, with a control."""
    fused = plan_blocks(Grid(placements=("none",), paths=(Path("fused"),)).trials())
    both = Grid(placements=("none",), paths=(Path("fused"), Path()))
    kept, added = plan_blocks(both.trials(), standing=fused)
    assert [kept] == fused
    assert [arm.role for arm in added.arms] == ["trunk", "control"]
    assert added.setting.path == Path()


def test_other_paths_have_the_papers_ratio() -> None:
    """Each placement at r = 16, whatever else the plain path is asked for."""
    grid = Grid(placements=("standard", "post"), extra=LATE_STAGE, other_paths=OTHER_PATHS)
    for path in OTHER_PATHS:
        labels = [each.variant.se.label for each in grid.trials() if each.path == path]
        assert labels == ["none", "standard-r16", "post-r16"]
    assert len([each for each in grid.trials() if each.path.is_plain]) == 1 + 2 * 5 + 4


def test_the_trunk_alone_has_a_block_with_its_control() -> None:
    """Asking for the plain network measures it against its control."""
    (block,) = plan_blocks(Grid(placements=("none",)).trials())
    assert [arm.role for arm in block.arms] == ["trunk", "control"]


def test_configurations_do_not_repeat() -> None:
    """A late-stage variant that the grid spans already is measured once."""
    grid = Grid(placements=("standard",), reductions=(16,), extra=(SEConfig("standard"),))
    assert [config.label for config in grid.configs()] == ["none", "standard-r16"]
