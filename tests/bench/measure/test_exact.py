"""What the exact gate counts of one trial."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from bench.measure import exact
from bench.measure.counts import count
from bench.measure.subject import build_shapes
from bench.trial import Path, Trial, Variant, Workload
from se_models.config import SEConfig

STANDARD = Trial(Variant("resnet18", SEConfig("standard")), Workload())


def test_counts_are_those_of_every_run() -> None:
    """And a ResNet is one graph, as written and fused; there convolutions take nothing along."""
    for path in (Path(), Path("fused")):
        trial = Trial(STANDARD.variant, STANDARD.workload, path)
        found = exact.exact(trial)
        assert found.counts == count(trial, build_shapes(trial.variant).eval())
        assert (found.graphs, found.graph_breaks) == (1, 0)
        elsewhere = replace(trial, workload=Workload("cuda"))
        operators = count(elsewhere, build_shapes(trial.variant).eval()).operators
        assert 0 < found.graph_operators <= operators + 1


def test_a_break_is_counted() -> None:
    """As by a print that somebody forgot."""

    def broken(x: Tensor) -> Tensor:
        torch._dynamo.graph_break()
        return x + 1

    model = build_shapes(Variant("resnet18")).eval()
    model.maxpool.forward = broken
    graphs, breaks, _ = exact._traced(Trial(Variant("resnet18"), Workload()), model)
    assert breaks > 0
    assert graphs > 1
