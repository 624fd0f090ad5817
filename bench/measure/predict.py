"""What SE would cost on a GPU that is not here: ``python -m bench predict --gpu NAME``.

Every number is predicted, none is measured. An operator is taken to last as
long as its bytes take at the published bandwidth, or its arithmetic at the
published rate, or a kernel lasts at least, whichever is most; and a forward as
long as its operators, or as the host takes to launch them. Caches, clocks and
the choice of algorithms are left out: what our own kernels read twice is charged
twice, though a cache may hold it. Nor is TF32 taken, by which torch's convolutions
of float32 go faster where a GPU has it. What shares of the published rates
kernels reach is assumed, so what follows from other shares is told besides.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

from bench.files import write_rows
from bench.measure.works import Work, works_of
from bench.options import positive_integer
from bench.trial import DTYPES as DTYPE_NAMES
from bench.trial import Path as RunPath
from bench.trial import Trial, Variant, Workload
from se_models.config import ARCHITECTURES, PLACEMENTS, Architecture, SEConfig

PREDICTED = "predicted.csv"
GPUS = Path(__file__).with_name("gpus.csv")
# No kernel is over sooner, be it a graph's next one; a launch by eager PyTorch takes the host so
# long. What our own operators take in Python ahead of a launch comes on top, and is left out.
SHORTEST_S, LAUNCH_S = 2e-6, 6e-6
PATHS = (
    RunPath(), RunPath("fused"), RunPath("none", "cuda_graph"), RunPath("fused", "cuda_graph"),
)  # fmt: skip
BATCHES = (1, 8, 256)


@dataclass(frozen=True)
class Gpu:
    """What is published of a GPU; ``half_tflops`` is of dense tensor cores."""

    name: str
    architecture: str
    bandwidth_gb_s: float
    float32_tflops: float
    half_tflops: float
    source: str

    def computes_in(self, dtype: str) -> bool:
        """Whether its tensor cores know a dtype: those before sm_80 know no bfloat16."""
        return dtype != "bfloat16" or int(self.architecture.removeprefix("sm_")) >= 80


@dataclass(frozen=True)
class Reached:
    """Shares of the published rates that kernels reach where they are bound by them."""

    bandwidth: float = 0.85
    arithmetic: float = 0.5


LIKELY = Reached()
# Other shares that kernels may as well reach; the least and the most that SE costs is among them.
OTHERS = tuple(
    Reached(bandwidth, arithmetic) for bandwidth in (0.75, 0.95) for arithmetic in (0.4, 0.6)
)


@dataclass(frozen=True)
class Forecast:
    """Of one forward: what its bytes alone take, its kernels, and launching them; in seconds."""

    floor_s: float
    device_s: float
    host_s: float

    @property
    def latency_s(self) -> float:
        return max(self.device_s, self.host_s)


def forecast(trial: Trial, works: Sequence[Work], gpu: Gpu, reached: Reached = LIKELY) -> Forecast:
    """What a trial takes on a GPU whose kernels reach such shares; ``works`` are the trial's."""
    narrow = gpu.float32_tflops if trial.workload.dtype == "float32" else gpu.half_tflops
    bytes_per_s = 1e9 * gpu.bandwidth_gb_s
    moving_s = [(work.moved_bytes + work.again_bytes) / bytes_per_s for work in works]
    computing_s = [
        2 * work.multiply_adds / (1e12 * (gpu.float32_tflops if work.is_wide else narrow))
        for work in works
    ]
    # A graph is launched once, whatever it holds.
    launches = len(works) if trial.path.executor == "eager" else 1
    return Forecast(
        floor_s=sum(work.moved_bytes for work in works) / bytes_per_s,
        device_s=sum(
            max(moving / reached.bandwidth, computing / reached.arithmetic, SHORTEST_S)
            for moving, computing in zip(moving_s, computing_s, strict=True)
        ),
        host_s=LAUNCH_S * launches,
    )


def known_gpus() -> dict[str, Gpu]:
    """By their names."""
    with GPUS.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        row["name"]: Gpu(
            row["name"], row["architecture"], float(row["bandwidth_gb_s"]),
            float(row["float32_tflops"]), float(row["half_tflops"]), row["source"],
        )
        for row in rows
    }  # fmt: skip


def rows(
    gpus: Sequence[Gpu],
    architectures: Sequence[Architecture],
    batches: Sequence[int],
    dtypes: Sequence[str],
) -> Iterator[dict[str, object]]:
    """A row for every placement by every path, the plain trunk included; SE at r = 16.

    Columns that hold predictions say so in their names.

    Raises:
        ValueError: if a GPU does not compute in a dtype; before any row.
    """
    for gpu, dtype in product(gpus, dtypes):
        if not gpu.computes_in(dtype):
            raise ValueError(
                f"{dtype} must be of sm_80 or newer, whose tensor cores know it, got {gpu.name} "
                f"({gpu.architecture})"
            )
    works_of_each = cache(works_of)  # no GPU's own
    for gpu, architecture, dtype, batch, path in product(
        gpus, architectures, dtypes, batches, PATHS
    ):
        workload = Workload("cuda", dtype, batch=batch)  # type: ignore[arg-type]
        trunk: dict[Reached, Forecast] = {}
        for placement in ("none", *(name for name in PLACEMENTS if name != "none")):
            variant = Variant(architecture, SEConfig(placement))  # type: ignore[arg-type]
            trial = Trial(variant, workload, path)
            works = works_of_each(trial)
            found = {each: forecast(trial, works, gpu, each) for each in (LIKELY, *OTHERS)}
            trunk = trunk or found
            overhead_pct = {
                each: 100 * (found[each].latency_s / trunk[each].latency_s - 1) for each in found
            }
            likely = found[LIKELY]
            more_s = likely.floor_s - trunk[LIKELY].floor_s
            yield {
                "gpu": gpu.name, "architecture": architecture, "dtype": dtype, "batch": batch,
                "path": path.label, "placement": placement, "predicted_floor_s": likely.floor_s,
                "predicted_device_s": likely.device_s, "predicted_host_s": likely.host_s,
                "predicted_latency_s": likely.latency_s,
                "predicted_floor_pct": 100 * more_s / trunk[LIKELY].latency_s,
                "predicted_overhead_pct": overhead_pct[LIKELY],
                "predicted_overhead_low_pct": min(overhead_pct.values()),
                "predicted_overhead_high_pct": max(overhead_pct.values()),
            }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the predictions, and leave them as CSV in --out; the exit code is 0 or 2."""
    gpus = known_gpus()
    options = _options(gpus, arguments)
    try:
        _predict(gpus, options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has seen enough, as head has; the interpreter would flush once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError) as error:
        print(f"python -m bench predict: error: {error}", file=sys.stderr)
        return 2
    return 0


def _options(gpus: Iterable[str], arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--gpu", action="append", choices=list(gpus), metavar="NAME",
        help=f"from {', '.join(gpus)}; may be repeated (default: all that compute in --dtype)",
    )  # fmt: skip
    parser.add_argument(
        "--architecture", action="append", choices=ARCHITECTURES, metavar="NAME",
        help=f"from {', '.join(ARCHITECTURES)}; may be repeated (default: resnet50)",
    )  # fmt: skip
    parser.add_argument(
        "--batch", action="append", type=positive_integer, metavar="N", help="(default: 1, 8, 256)"
    )
    parser.add_argument(
        "--dtype", choices=DTYPE_NAMES, default="float16", help="(default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"leave {PREDICTED} there")
    return parser.parse_args(arguments)


def _predict(gpus: Mapping[str, Gpu], options: argparse.Namespace) -> None:
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
    able = [name for name, gpu in gpus.items() if gpu.computes_in(options.dtype)]
    chosen = [gpus[name] for name in options.gpu or able]
    found = list(
        rows(
            chosen, options.architecture or ["resnet50"], options.batch or BATCHES, [options.dtype]
        )
    )
    if options.out is not None:  # ahead of printing, which ends where nobody reads on
        write_rows(options.out / PREDICTED, found)
    _show(found)
    if options.out is not None:
        print(options.out / PREDICTED)


def _show(found: Sequence[dict[str, object]]) -> None:
    print("PREDICTED, not measured: overhead of SE at r = 16 over the plain trunk by the same path")
    print(
        f"Assumed: kernels reach {LIKELY.bandwidth:.0%} of the bandwidth and "
        f"{LIKELY.arithmetic:.0%} of the arithmetic that are published; least and most are over "
        f"{_span(each.bandwidth for each in OTHERS)} and "
        f"{_span(each.arithmetic for each in OTHERS)}. A dash stands where no share matters: of "
        "the plain trunk, and where launches bound the forward, whose time is assumed too."
    )
    if any(row["dtype"] == "float32" for row in found):
        print(
            "Assumed: float32 arithmetic without TF32, which torch's convolutions take by default "
            "from sm_80 on. Where it is faster, forwards take less and SE's share is more than "
            "told."
        )
    line = "{:<10} {:<12} {:>5} {:<17} {:<9} {:>9} {:>9} {:>8} {:>16}"
    print(
        line.format(
            "gpu", "network", "batch", "path", "placement", "ms", "floor %", "SE %", "least to most"
        )
    )
    for row in found:
        milliseconds = f"{1e3 * float(str(row['predicted_latency_s'])):.3f}"
        floor, more, least, most = (
            f"{float(str(row[name])):+.1f}"
            for name in (
                "predicted_floor_pct", "predicted_overhead_pct", "predicted_overhead_low_pct",
                "predicted_overhead_high_pct",
            )
        )  # fmt: skip
        print(
            line.format(
                row["gpu"], row["architecture"], row["batch"], row["path"], row["placement"],
                milliseconds, floor, more, "-" if least == most else f"{least} to {most}",
            )
        )  # fmt: skip


def _span(shares: Iterable[float]) -> str:
    low, *_, high = sorted(shares)
    return f"{low:.0%} to {high:.0%}"


if __name__ == "__main__":
    raise SystemExit(main())
