"""What the fused kernels' first use on a machine takes, and what every later process pays.

``python -m bench.measure.first_use`` builds the CPU's kernels in an empty cache,
as the first process on a machine does, and throws them away. Then it starts
processes in turns. Some have a model, as whoever uses ``se_models`` has. Others
fetch ``fuse`` besides, and load kernels that were built before. Those of the
first kind come twice in a round: what two equal ones differ by is nobody's cost.
Each is timed from its start to its end. Leaves ``first_use.csv`` in --out. It
takes some minutes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from bench.environment import describe_machine
from bench.files import write_rows
from bench.options import positive_integer
from bench.order import balanced_orders
from bench.stats import Array, Interval, evidence

FIRST_USE = "first_use.csv"
OUT = Path("results/fused")
ROUNDS = 20
# What the three processes of a round run, the second to be held against the first.
MODEL = "from se_models import SEConfig, resnet18; resnet18(se=SEConfig('standard'))"
FUSED = (
    f"{MODEL}; from se_models.fused import fuse; from se_models.fused.kernels "
    "import missing; reason = missing('cpu'); assert reason is None, reason"
)
CODES = (MODEL, MODEL, FUSED)


@dataclass(frozen=True)
class FirstUse:
    """The only row of ``first_use.csv``; all times are in seconds.

    Attributes:
        build_s: of a process that finds no kernels and builds them.
        model_s: the median of those that have a model alone.
        later_s: by how much a process that finds its kernels takes longer, with the
            ends of the 95 % interval.
        control_s: the same of a second process that has a model alone.
        rounds: of three processes each.
    """

    machine: str
    torch: str
    build_s: float
    model_s: float
    later_s: float
    later_low_s: float
    later_high_s: float
    control_s: float
    control_low_s: float
    control_high_s: float
    rounds: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Build once, load often; leave ``first_use.csv`` in --out."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.measure.first_use",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR")
    parser.add_argument(
        "--rounds", type=positive_integer, default=ROUNDS, metavar="N",
        help="of three processes each (default: %(default)s)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)  # or be told so before the minutes it takes
    # The cache is another one through the whole measurement, and never the user's.
    with tempfile.TemporaryDirectory() as cache:
        build_s = process_s(FUSED, cache)
        print(f"built in {build_s:.0f} s", flush=True)
        times_s = rounds_s(CODES, options.rounds, cache)
    write_rows(options.out / FIRST_USE, [asdict(row(build_s, times_s))])
    print(options.out / FIRST_USE)


def process_s(code: str, cache: str) -> float:
    """How long a process that runs ``code`` takes, in seconds; kernels are kept below ``cache``.

    Raises:
        subprocess.CalledProcessError: if it fails; it has said why.
    """
    environment = {**os.environ, "XDG_CACHE_HOME": cache}
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    return time.perf_counter() - started


def rounds_s(codes: Sequence[str], rounds: int, cache: str) -> Array:
    """Seconds of a process of each code in every round ``(codes, rounds)``, in balanced order.

    One of each runs ahead, so that all find their files read.
    """
    for code in dict.fromkeys(codes):
        process_s(code, cache)
    times_s = np.empty((len(codes), rounds))
    for number, order in enumerate(islice(balanced_orders(len(codes), seed=0), rounds)):
        for place in order:
            times_s[place, number] = process_s(codes[place], cache)
        print(f"round {number + 1} of {rounds}", flush=True)
    return times_s


def row(build_s: float, times_s: Array) -> FirstUse:
    """What was measured, of this machine.

    Args:
        build_s: of the first process.
        times_s: ``(3, rounds)``, as `rounds_s` gives them of `CODES`.
    """
    model_s, again_s, fused_s = times_s
    later, control = longer_s(fused_s, model_s), longer_s(again_s, model_s)
    return FirstUse(
        machine=describe_machine().cpu,
        torch=torch.__version__,
        build_s=build_s,
        model_s=float(np.median(model_s)),
        later_s=later.estimate,
        later_low_s=later.low,
        later_high_s=later.high,
        control_s=control.estimate,
        control_low_s=control.low,
        control_high_s=control.high,
        rounds=times_s.shape[1],
    )


def longer_s(one_s: Array, other_s: Array) -> Interval:
    """By how much processes of one kind take longer than those of another in the same round."""
    found = evidence([np.array([longer]) for longer in one_s - other_s])
    assert found is not None  # there is a round
    return found.interval()


if __name__ == "__main__":
    main()
