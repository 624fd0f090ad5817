"""What may be compared with what: a refusal names the field and both values."""

from __future__ import annotations

from typing import Any

from bench.record import Environment
from bench.trial import Trial


def other_setting(a: Trial, b: Trial) -> str | None:
    """Why the times of two trials have nothing in common; None if they share a setting."""
    of_a, of_b = _setting_fields(a), _setting_fields(b)
    differences = [
        f"{name} is {of_a[name]!r} in A and {of_b[name]!r} in B"
        for name in of_a
        if of_a[name] != of_b[name]
    ]
    if not differences:
        return None
    return f"times are compared within one setting only, and {'; '.join(differences)}"


def check_environments(a: list[Environment], b: list[Environment]) -> None:
    """Raise a ValueError unless all workers of two runs had one machine, and one torch set alike.

    The source may differ: to compare two versions of it is what runs are compared for.
    """
    for name, environments in (("A", a), ("B", b)):
        if not environments:
            raise ValueError(f"{name} must hold measurements, and no worker of it ever started")
    for before in a:
        for after in b:
            differences = [
                *after.machine.differences(before.machine),
                *after.runtime.differences(before.runtime),
            ]
            if differences:
                raise ValueError(
                    "runs are compared within one environment only, and from A to B "
                    + "; ".join(differences)
                )


def _setting_fields(trial: Trial) -> dict[str, Any]:
    return {"architecture": trial.variant.architecture, **vars(trial.workload), **vars(trial.path)}
