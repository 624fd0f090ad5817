"""Whether the fast path is right on a device: ``python -m bench selfcheck --device cuda``.

Checks come before any time is taken, and the first that fails ends all: what
the machine is, whether its kernels load, every kernel against float64, a stream
that is not the default one, a captured forward replayed with changing inputs, two
of either at once, NVIDIA's compute-sanitizer where it is installed. Nothing but
the report in --out is written, line by line, and it says so until it is whole.
"""

from __future__ import annotations

import argparse
import copy
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path

import torch

from bench import limited
from bench.environment import describe_machine, describe_source
from bench.measure import subject
from bench.measure.agreement import Agreement, agreements
from bench.measure.checks import SIZE, Lines, WrongError
from bench.measure.queued import at_once, captured, stream
from bench.trial import DEVICES, Device, Trial, Variant, Workload
from bench.trial import Path as RunPath
from se_models.config import PLACEMENTS, SEConfig
from se_models.fused import fuse
from se_models.fused.cuda import compiler
from se_models.fused.cuda.library import load
from se_models.fused.kernels import missing

REPORT = "selfcheck.txt"
# The last line of the report of a process that has crashed, or was ended at its time limit.
_UNFINISHED = "NOT FINISHED"
# How far a fused network may be from the float64 one, as max|a - b| / max|b|, in float32.
NETWORK_TOLERANCE = 1e-4
# For each of compute-sanitizer's runs, which make everything many times slower.
SANITIZER_MINUTES = 15.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all checks; the exit code is 0, 1 (one failed) or 2 (no such device, or no report)."""
    options = _options(arguments)
    reason = _without(options.device)
    if reason is not None:
        print(f"nothing to check: {reason}", file=sys.stderr)
        return 2
    device = torch.device(options.device)
    report: list[str] = []
    try:
        _keep((_UNFINISHED,), options.out)
    except OSError as error:
        print(f"error: the report cannot be written: {error}", file=sys.stderr)
        return 2
    try:
        for name, check in _checks(options).items():
            _keep((*report, f"{name}: {_UNFINISHED}"), options.out)
            for line in check(device):
                report.append(f"{name}: {line}")
                print(report[-1], flush=True)
                _keep((*report, f"{name}: {_UNFINISHED}"), options.out)
        _keep(report, options.out)
    # What raises is as wrong as what differs, whatever it raises: libraries that are missing, and
    # kernels that are wrong, have errors of many kinds.
    except Exception as error:
        report.append(f"FAILED: {str(error) or repr(error)}")
        print(report[-1], file=sys.stderr)
        # Where that cannot be kept either it has been said, and the report goes on saying that it
        # is not finished.
        with suppress(OSError):
            _keep(report, options.out)
        return 1
    return 0


def _keep(report: Sequence[str], folder: Path | None) -> None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / REPORT).write_text("\n".join(report) + "\n", encoding="utf-8")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.measure.selfcheck",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--device", choices=DEVICES, default="cuda")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the report")
    parser.add_argument(
        "--kernels-only", action="store_true", help="check the kernels, and nothing else"
    )
    return parser.parse_args(arguments)


def _without(device: Device) -> str | None:
    """Why there is nothing to check, or None; kernels that do not load are no such reason."""
    if device == "cuda" and not torch.cuda.is_available():
        return "torch sees no CUDA device"
    return None


def _checks(options: argparse.Namespace) -> dict[str, Callable[[torch.device], Lines]]:
    checks: dict[str, Callable[[torch.device], Lines]] = {"device": named}
    # The kernels alone are for compute-sanitizer, which would watch the commands that tell of
    # driver and commit, too; the report that it is for has them.
    if not options.kernels_only:
        checks["versions"] = versions
    checks |= {"loading": loading, "kernels": kernels}
    if options.kernels_only:
        return checks
    checks["networks"] = networks
    if options.device == "cuda":
        checks |= {"stream": stream, "capture": captured, "at once": at_once}
        checks["sanitizer"] = sanitizer
    return checks


def named(device: torch.device) -> Lines:
    """On what all is checked; CUDA's version below is torch's own, and says nothing of it."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        yield f"{torch.cuda.get_device_name(device)}, sm_{major}{minor}"
        yield "its L2 cache is warm in all times: it holds what the forward before has left"
    else:
        yield device.type


def versions(device: torch.device) -> Lines:
    """What was checked, by what it was compiled, and with what it runs."""
    source = describe_source()
    changed = "" if source.dirty_diff is None else ", changed since"
    yield f"source {source.fingerprint}, commit {source.commit or 'unknown'}{changed}"
    yield f"torch {torch.__version__}, CUDA {torch.version.cuda}"
    if device.type == "cuda":
        driver = describe_machine().gpu_driver or "unknown"
        yield f"driver {driver}, cuDNN {torch.backends.cudnn.version()}"
        yield ", ".join(compiler.versions())


def loading(device: torch.device) -> Lines:
    """The kernels, compiled if need be; without them plain PyTorch would be checked."""
    reason = missing(device)
    if reason is not None:
        raise WrongError(f"there are no kernels for {device.type}: {reason}")
    yield "all kernels are there"


def kernels(device: torch.device) -> Lines:
    """A line for each operator and dtype: the most that it is off float64."""
    found = sorted(agreements(device), key=_about)
    for (operator, dtype), group in groupby(found, key=_about):
        own = list(group)
        worst = max(own, key=lambda each: each.error / each.limit)
        if not worst.is_right:
            raise WrongError(
                f"{operator} of {dtype}, {worst.given} is off by "
                f"{worst.error:.2g}, the limit is {worst.limit:.2g}"
            )
        yield (
            f"{operator} of {dtype}: off by {max(each.error for each in own):.1e} at most, "
            f"over {len(own)} cases"
        )
    # Plain PyTorch would be as near to float64, and is what torch calls unless it knows of kernels.
    if device.type == "cuda":
        left = unlaunched(load.launched(device))
        if left:
            raise WrongError(f"{len(left)} kernels were never launched, {left[0]} among them")
        yield "every kernel was launched, in every dtype"


def unlaunched(launched: Set[tuple[torch.dtype, str]]) -> list[str]:
    """The kernels, in words, that are not among those of a dtype that were launched."""
    return [
        f"{kernel} of {dtype}"
        for dtype in compiler.SCALARS
        for kernel in compiler.kernels(dtype)
        if (dtype, kernel) not in launched
    ]


def _about(agreement: Agreement) -> tuple[str, str]:
    return agreement.operator, agreement.dtype


@torch.no_grad()
def networks(device: torch.device) -> Lines:
    """Every placement of a ResNet-18, fused, against its own float64."""
    trunks = subject.Trunks()
    for placement in PLACEMENTS:
        for layout in subject.MEMORY_FORMATS:
            workload = Workload(layout=layout, batch=2, size=SIZE)
            trial = Trial(Variant("resnet18", SEConfig(placement)), workload, RunPath())
            model, example = subject.build(trial, trunks)
            exact = copy.deepcopy(model).double()(example.double())
            with _full_float32():
                output = fuse(copy.deepcopy(model).to(device))(example.to(device)).cpu()
            off = float((output.double() - exact).abs().max() / exact.abs().max())
            if not off <= NETWORK_TOLERANCE:
                raise WrongError(f"fused {placement}, {layout} is off by {off:.2g}")
        yield f"{placement}: fused as in eager, both layouts"


def sanitizer(_device: torch.device) -> Lines:
    """compute-sanitizer over the kernels, a process for each: memory, races, barriers."""
    name, folders = "compute-sanitizer", _toolkits()
    tool = shutil.which(name) or shutil.which(name, path=os.pathsep.join(folders))
    if tool is None:
        yield f"{name} was not found on PATH or in {' or '.join(folders)}: not run"
        return
    # An overrun stays within what torch's allocator has reserved, unless each tensor is allocated
    # for itself.
    environment = {**os.environ, "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
    for check in ("memcheck", "racecheck", "synccheck"):
        try:
            done = limited.run(
                [tool, "--tool", check, "--error-exitcode", "9", sys.executable, "-m",
                 "bench.measure.selfcheck", "--kernels-only"],
                name=f"compute-sanitizer's {check}", minutes=SANITIZER_MINUTES, is_captured=True,
                environment=environment,
            )  # fmt: skip
        # How long it takes on a GPU is not known, and what is slow is not wrong.
        except TimeoutError:
            yield f"{check}: {_UNFINISHED} in {SANITIZER_MINUTES:g} minutes, says nothing"
            continue
        if done.returncode:
            raise WrongError(f"compute-sanitizer's {check}: {_last_words(done)}")
        yield f"{check} finds nothing"


def _toolkits() -> list[str]:
    """Where CUDA's tools lie that are not on PATH."""
    homes = (os.environ.get("CUDA_HOME"), "/usr/local/cuda")
    return [str(Path(home) / "bin") for home in homes if home]


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    """Of a tool, which prints what it finds, and of the checks under it, which fail on stderr."""
    return "\n".join(text for each in (done.stdout, done.stderr) if (text := each.strip()[-300:]))


@contextmanager
def _full_float32() -> Iterator[None]:
    """No TF32 meanwhile, which rounds float32 to ten bits, as cuDNN may by default."""
    cudnn, cublas = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, cublas.allow_tf32
    cudnn.allow_tf32 = cublas.allow_tf32 = False
    try:
        yield
    finally:
        cudnn.allow_tf32, cublas.allow_tf32 = before


if __name__ == "__main__":
    sys.exit(main())
