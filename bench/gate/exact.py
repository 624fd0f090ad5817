"""Whether counts are those of the baseline: a verdict that is the same each time, everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from bench.documents import markdown as text
from bench.exact import CAPABILITY, COMPILED, QUANTITIES
from bench.gate.baseline import Baseline

# What stands in the place of a quantity, where a whole variant is on one side alone.
WHOLE = "the variant"
MISSING, PRESENT = "missing", "present"


@dataclass(frozen=True)
class Difference:
    """A quantity that is not what it was; text where a variant vanished or appeared."""

    variant: str
    quantity: str
    before: int | str
    after: int | str

    @property
    def change(self) -> str:
        """By how much, in percent; empty where nothing can be divided."""
        if isinstance(self.before, str) or isinstance(self.after, str) or not self.before:
            return ""
        return f"{100 * (self.after / self.before - 1):+.3g} %"


@dataclass(frozen=True)
class Comparison:
    """What differs; and in what that which counted does.

    ``tools`` are the versions on which all counts may depend; what a compiler makes of
    a model may depend on the ``capability`` of the CPU too.
    """

    differences: tuple[Difference, ...]
    tools: tuple[str, ...]
    capability: tuple[str, ...]
    variants: int
    quantities: tuple[str, ...]

    @property
    def passes(self) -> bool:
        return not self.differences


def compare(before: Baseline, after: Baseline) -> Comparison:
    """Hold what was counted now against the baseline.

    What a compiler makes of a model is compared only where all versions and the
    CPU's capability are equal.
    """
    versions = after.versions.differences(before.versions)
    capability = tuple(each for each in versions if each.startswith(CAPABILITY))
    quantities = QUANTITIES if versions else (*QUANTITIES, *COMPILED)
    return Comparison(
        tuple(_differences(before.counts, after.counts, quantities)),
        tuple(each for each in versions if each not in capability),
        capability,
        len(after.counts),
        quantities,
    )


def _differences(
    before: pd.DataFrame, after: pd.DataFrame, quantities: tuple[str, ...]
) -> Iterator[Difference]:
    for name in before.index.union(after.index, sort=False):
        variant = variant_name(*name)
        if name not in after.index:
            yield Difference(variant, WHOLE, PRESENT, MISSING)
        elif name not in before.index:
            yield Difference(variant, WHOLE, MISSING, PRESENT)
        else:
            for quantity in quantities:
                was, now = int(before[quantity][name]), int(after[quantity][name])
                if was != now:
                    yield Difference(variant, quantity, was, now)


def variant_name(variant: str, transform: str) -> str:
    """As a person would call it: the transform is named where there is one."""
    return variant if transform == "none" else f"{variant}@{transform}"


def markdown(comparison: Comparison, command: str) -> str:
    """What a reader of the build needs: what differs, perhaps why, and what to do.

    Args:
        comparison: of the baseline with what was counted now.
        command: that makes the baseline anew.
    """
    verdict = "passed" if comparison.passes else "failed"
    lines = [f"## Exact gate: {verdict}", "", _summary(comparison)]
    if comparison.tools or comparison.capability:
        lines += ["", *_on_versions(comparison)]
    if not comparison.passes:
        lines += ["", table(comparison.differences), "", _what_to_do(comparison, command)]
    return "\n".join(lines) + "\n"


def _summary(comparison: Comparison) -> str:
    counted = f"{len(comparison.quantities)} quantities of {comparison.variants} variants"
    if comparison.passes:
        return f"{counted} are those of the baseline."
    differing = len({each.variant for each in comparison.differences})
    return f"{counted} were counted; {differing} variants differ from the baseline."


def _on_versions(comparison: Comparison) -> Iterator[str]:
    if comparison.tools:
        yield f"The baseline was counted with other versions: {'; '.join(comparison.tools)}."
    if comparison.capability:
        yield f"It was counted on another kind of CPU: {'; '.join(comparison.capability)}."
    yield f"So {', '.join(COMPILED)} were not compared."


def table(differences: tuple[Difference, ...]) -> str:
    """A line for each quantity that differs, as Markdown."""
    rows = [
        {
            "variant": each.variant,
            "quantity": each.quantity,
            "before": _number(each.before),
            "after": _number(each.after),
            "change": each.change,
        }
        for each in differences
    ]
    return text.table(pd.DataFrame(rows))


def _number(value: int | str) -> str:
    return value if isinstance(value, str) else f"{value:,}"


def _what_to_do(comparison: Comparison, command: str) -> str:
    if comparison.tools:
        return (
            "These may come with the other versions, or with a change of the source. To tell, "
            "count with the baseline's versions; what still differs there is the source's. If "
            f"they come with the versions, run `{command}` and commit that alone."
        )
    return f"If this is meant, run `{command}` and commit the new baseline with the change."
