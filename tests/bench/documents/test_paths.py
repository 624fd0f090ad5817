"""What the documents say of paths."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from bench.documents.paths import FLOOR, markdown, summary, works
from tests.bench.documents.test_kernels import frame as kernels
from tests.bench.test_path_summary import REASON, table, without


def several() -> pd.DataFrame:
    """The synthetic network at batch 8, then as ResNet-50 at batch 1."""
    frame = table().assign(noise_low_pct=None, noise_high_pct=None)
    large = frame.assign(batch=8, setting=frame["setting"].str.replace("-b1-", "-b8-"))
    deep = frame.assign(
        architecture="resnet50", setting=frame["setting"].str.replace("resnet18", "resnet50")
    )
    return pd.concat([large, deep], ignore_index=True)


def test_each_network_and_workload_has_five_tables() -> None:
    """SE over its trunk, all over eager's, latencies, what is called and held, and preparing."""
    text = markdown(several(), None)
    headings = [line for line in text.splitlines() if line.startswith("### ")]
    assert [heading.split(" on ")[0] for heading in headings] == ["### resnet18", "### resnet50"]
    assert text.count("| path ") == 10
    assert text.count("| fused ") == 10
    assert "nan" not in text


def test_readme_shows_a_deep_network_alone() -> None:
    """ResNet-50, one image, if it is there; else the first."""
    assert summary(several()).startswith("**resnet50 on ")
    first = several()
    assert summary(first[first["architecture"] == "resnet18"]).startswith("**resnet18 on ")


def test_readme_shows_what_paths_call_and_hold() -> None:
    """Below their times, a line per path."""
    text = summary(several())
    assert text.count("| path ") == text.count("| fused ") == 2
    assert "resident MiB, standard" in text


def test_one_path_is_nothing_to_show() -> None:
    """That is an error, and no empty section."""
    alone = several()
    alone = alone[alone["path"] == "eager"]
    assert list(works(alone)) == []
    with pytest.raises(ValueError, match="by several paths"):
        summary(alone)


def test_a_path_that_could_not_run_says_why() -> None:
    """Below the tables, in both places."""
    frame = without("fused", several())
    assert f"fused: unsupported, {REASON}" in markdown(frame, None)
    assert f"fused: unsupported, {REASON}" in summary(frame)


def test_the_floor_of_fused_is_that_of_its_bytes() -> None:
    """At the rate that the kernels' control reaches, as a share of the fused trunk's time."""
    frame = table().assign(noise_low_pct=None, noise_high_pct=None)
    fused = frame["path"] == "fused"
    trunk = fused & (frame["placement"] == "none")
    frame.loc[fused, "ideal_bytes"] = 21_000_000
    frame.loc[trunk, ["ideal_bytes", "latency_s"]] = (20_000_000, 0.02)
    text = markdown(frame, kernels())  # 10 GB/s: a megabyte takes 0.1 ms of 20
    (line,) = (each for each in text.splitlines() if each.startswith(f"| {FLOOR} "))
    assert [cell.strip() for cell in line.strip("|").split("|")][2:] == ["0.5"] * 6
    assert FLOOR not in markdown(frame.assign(architecture="resnet34"), kernels())
    uncounted = frame.astype({"ideal_bytes": "Int64"})
    uncounted.loc[frame["placement"] == "post", "ideal_bytes"] = pd.NA
    (line,) = (
        each for each in markdown(uncounted, kernels()).splitlines() if f"| {FLOOR} " in each
    )
    assert line.count("0.5") == 5
    uncounted.loc[trunk, "ideal_bytes"] = pd.NA
    assert FLOOR not in markdown(uncounted, kernels())


@pytest.mark.parametrize(
    "change", [{"size": 64}, {"dtype": "bfloat16"}, {"threads": 1}, {"machine": "another"}], ids=str
)
def test_a_floor_is_of_the_rate_of_its_own_workload(change: dict[str, Any]) -> None:
    """What another size, dtype, number of threads or machine reaches is nothing to go by."""
    frame = table().assign(noise_low_pct=None, noise_high_pct=None)
    assert FLOOR in markdown(frame, kernels())
    assert FLOOR not in markdown(frame.assign(**change), kernels())
