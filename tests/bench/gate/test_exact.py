"""The exact gate's verdict: any difference is found, named and told with what to do."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.exact import COMPILED, QUANTITIES
from bench.gate.baseline import Baseline
from bench.gate.exact import MISSING, PRESENT, WHOLE, Difference, compare, markdown
from tests.bench.gate.tables import VERSIONS, baseline, changed

UPDATE = "python -m bench exact --update"
OTHER = msgspec.structs.replace(VERSIONS, torch="2.15.0")


def test_equal_counts_pass() -> None:
    """In one line that says how much was compared."""
    comparison = compare(baseline(3), baseline(3))
    assert comparison.passes
    assert markdown(comparison, UPDATE) == (
        "## Exact gate: passed\n\n10 quantities of 3 variants are those of the baseline.\n"
    )


@given(
    place=st.integers(0, 3),
    quantity=st.sampled_from([*QUANTITIES, *COMPILED]),
    value=st.integers(0, 10**12),
)
def test_whatever_differs_is_found_and_nothing_else(place: int, quantity: str, value: int) -> None:
    """However small the difference."""
    before = baseline(4)
    after = changed(before, place, quantity, value)
    was = int(before.counts[quantity].iloc[place])
    found = compare(before, after).differences
    if was == value:
        assert found == ()
    else:
        assert [(each.quantity, each.before, each.after) for each in found] == [
            (quantity, was, value)
        ]


def test_a_difference_is_told_with_its_size_and_what_to_do() -> None:
    """The fused variant by its path."""
    text = markdown(compare(baseline(), changed(baseline(), 1, "macs", 206)), UPDATE)
    lines = text.splitlines()
    assert lines[0] == "## Exact gate: failed"
    assert lines[2] == (
        "10 quantities of 2 variants were counted; 1 variants differ from the baseline."
    )
    cells = [cell.strip() for cell in lines[6].strip("|").split("|")]
    assert cells == ["resnet18/standard-r2@fused", "macs", "103", "206", "+100 %"]
    assert (
        lines[-1]
        == f"If this is meant, run `{UPDATE}` and commit the new baseline with the change."
    )


@pytest.mark.parametrize(
    ("before", "after", "sides"),
    [(3, 2, (PRESENT, MISSING)), (2, 3, (MISSING, PRESENT))],
    ids=["vanished", "appeared"],
)
def test_a_variant_on_one_side_alone_fails(before: int, after: int, sides: tuple[str, str]) -> None:
    """It is never a pass."""
    found = compare(baseline(before), baseline(after))
    assert not found.passes
    assert found.differences == (Difference("resnet18/standard-r4", WHOLE, *sides),)
    assert found.differences[0].change == ""


def test_what_a_compiler_makes_is_compared_within_equal_versions_only() -> None:
    """And the report says so, though it passes."""
    after = Baseline(OTHER, changed(baseline(), 0, "graph_breaks", 7).counts)
    comparison = compare(baseline(), after)
    assert comparison.passes
    text = markdown(comparison, UPDATE)
    assert "other versions: torch was 2.14.1, is 2.15.0." in text
    assert "graphs, graph_breaks, graph_operators were not compared" in text
    assert not compare(baseline(), changed(baseline(), 0, "graph_breaks", 7)).passes


def test_with_another_version_a_difference_may_be_its_own() -> None:
    """What to do then is another thing than with a change of the source alone."""
    after = Baseline(OTHER, changed(baseline(), 0, "operators", 117).counts)
    comparison = compare(baseline(), after)
    assert not comparison.passes
    assert "count with the baseline's versions" in markdown(comparison, UPDATE)


def test_on_another_cpu_a_difference_is_the_sources() -> None:
    """Shapes know of no CPU, though a compiler does."""
    elsewhere = msgspec.structs.replace(VERSIONS, cpu_capability="AVX512")
    after = Baseline(elsewhere, changed(baseline(), 0, "operators", 117).counts)
    comparison = compare(baseline(), after)
    text = markdown(comparison, UPDATE)
    assert "another kind of CPU: cpu_capability was AVX2, is AVX512." in text
    assert "graphs, graph_breaks, graph_operators were not compared" in text
    assert "with the other versions" not in text
    assert "If this is meant" in text
