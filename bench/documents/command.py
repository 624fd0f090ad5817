"""Write the parts of all documents, or compare them."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from bench import documents, plots
from bench.documents.parts import parts
from bench.documents.sources import DOCUMENTS, PROOF, ROOT, runs, unpacked
from bench.documents.stale import stale_gate, stale_pictures, stale_proof, stale_run
from bench.files import replacing
from bench.line_files import BusyError, pack
from bench.table import write_table

_PART = re.compile(r"(<!-- begin (\S+) -->\n).*?(<!-- end \2 -->)", flags=re.DOTALL)


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Write the parts and pack the records, or compare; 1 if anything does not match."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.documents",
        description=documents.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    check = parser.parse_args(arguments).check
    known = runs(root)
    stale: list[str] = []
    if check:
        for run in known.values():
            stale += stale_run(run, root)
        stale += stale_proof(root / PROOF)
        stale += stale_gate(root)
        stale += stale_pictures(root)
        stale += (f"{path.relative_to(root)} is not packed" for path in unpacked(root))
    else:
        for run in known.values():
            write_table(run.frame, root / run.folder)
            plots.draw(run.frame, root / run.folder / "plots", run.plots)
        pack_recordings(root)
    made = parts(known, root)
    for name, sources in DOCUMENTS.items():
        path = root / name
        old = path.read_text(encoding="utf-8")
        new = fill(old, made)
        if check and new != old:
            stale.append(f"{name} does not follow from {', '.join(map(str, sources))}")
        elif not check:
            with replacing(path) as draft:
                draft.write_text(new, encoding="utf-8")
    for line in stale:
        print(f"{line}: run `nox -s readme`", file=sys.stderr)
    return 1 if stale else 0


def pack_recordings(root: Path) -> None:
    """Pack the files of raw samples that nobody is writing to."""
    for path in unpacked(root):
        with suppress(BusyError):
            pack(path)


def fill(text: str, made: dict[str, Callable[[], str]]) -> str:
    """``text`` with every marked part made anew.

    Raises:
        ValueError: if a part has a name that nothing makes.
    """

    def replace(match: re.Match[str]) -> str:
        begin, name, end = match.groups()
        if name not in made:
            raise ValueError(f"part must be one of {', '.join(made)}, got {name!r}")
        return f"{begin}{made[name]()}{end}"

    return _PART.sub(replace, text)
