"""Whether an experiment's picture still shows its table: digests beside them tell."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from bench.files import replacing
from bench.plots import DIGESTS, digest


def note(folder: Path, stem: str, frame: pd.DataFrame, title: str) -> Path:
    """Keep the digest of what the picture ``stem`` was drawn from."""
    listing = folder / DIGESTS
    kept = _kept(listing) | {stem: digest(frame, title, "")}
    with replacing(listing) as draft:
        draft.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", encoding="ascii")
    return listing


def is_stale(folder: Path, stem: str, frame: pd.DataFrame, title: str) -> bool:
    """Whether the picture is missing, or was drawn from something else."""
    if _kept(folder / DIGESTS).get(stem) != digest(frame, title, ""):
        return True
    return not all((folder / f"{stem}{suffix}").exists() for suffix in (".png", ".svg"))


def _kept(listing: Path) -> dict[str, str]:
    return dict(json.loads(listing.read_text(encoding="ascii"))) if listing.exists() else {}
