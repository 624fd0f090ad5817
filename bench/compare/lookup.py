"""What a person means by a name: a run by its path, a trial by as much of its key as it takes."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from bench.line_files import found
from bench.run.run_file import RECORDS
from bench.trial import Path as RunPath
from bench.trial import Trial

NEAREST = 3
# So many of the keys that a name fits are listed.
LISTED = 6


def find_run(name: str) -> Path | None:
    """The records file of the run that is so named; None if it is no run, but perhaps a trial.

    Args:
        name: a folder that holds a records file, or the file itself.
    """
    path = Path(name)
    return found(path / RECORDS if path.is_dir() else path)


def find_trial(trials: Sequence[Trial], name: str) -> Trial:
    """The one trial that is named.

    Args:
        trials: those of a run.
        name: ``standard-r16``, ``resnet18/standard-r16`` or a key; a key may
            be cut off before any ``@``, and lack its architecture. ``none`` is
            the plain trunk. ``standard-r16@fused`` names the path too; where
            none is named and there are several, eager PyTorch is meant.

    Raises:
        ValueError: if the name fits none, with the nearest names; or several,
            with their keys.
    """
    short, path = _split(name)
    fitting = [
        trial
        for trial in trials
        if _fits(short, trial.key) and (path is None or trial.path == path)
    ]
    if path is None and len(fitting) > 1:
        fitting = [trial for trial in fitting if trial.path.is_plain] or fitting
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        near = ", ".join(_nearest(trials, name))
        raise ValueError(f"{name!r} names no run and no trial; the nearest trials are {near}")
    keys = [trial.key for trial in fitting]
    more = f" and {len(keys) - LISTED} more" if len(keys) > LISTED else ""
    raise ValueError(
        f"{name!r} fits {len(keys)} trials, so give more of the key: "
        f"{', '.join(keys[:LISTED])}{more}"
    )


def _split(name: str) -> tuple[str, RunPath | None]:
    """A name without its path, and that path if it tells one."""
    short, _, last = name.rpartition("@")
    try:
        return (short, RunPath.named(last)) if short else (name, None)
    except ValueError:
        return name, None


def _fits(name: str, key: str) -> bool:
    label = key.partition("/")[2]
    return any(full == name or full.startswith(f"{name}@") for full in (key, label))


def _nearest(trials: Sequence[Trial], name: str) -> list[str]:
    """The likest names of the kind that was given."""
    if "@" in name:
        names = [trial.key for trial in trials]
    elif "/" in name:
        names = [trial.variant.key for trial in trials]
    else:
        names = [trial.variant.se.label for trial in trials]
    return difflib.get_close_matches(name, dict.fromkeys(names), n=NEAREST, cutoff=0.0)
