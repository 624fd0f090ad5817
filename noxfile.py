"""Everything there is to do: ``nox -s bench`` measures, ``nox -s tests`` tests, ``nox -l`` lists.

torch is several gigabytes, so all sessions share one environment. The session
``env`` makes it and marks it with a hash of what it was made from; it is made
anew only when that changes.
"""

import hashlib
from pathlib import Path

import nox
import nox.command

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "tests"]

ROOT = Path(__file__).parent
ENV = ROOT / ".nox" / "env"
MADE_FROM = (ROOT / "pyproject.toml", ROOT / "constraints.txt")
EVERY_PATH = (
    "eager", "folded", "fused", "compile", "compile_freezing", "fused+compile_freezing",
    "onnxruntime", "openvino",
)  # fmt: skip
# Time for a run to stop its workers and show what it has, before nox kills it.
INTERRUPT_S = 60.0
# Two workers of pytest keep two CPUs busy: more threads would wait for each other, spinning.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def _fingerprint() -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in MADE_FROM)).hexdigest()


def _python(session: nox.Session, *arguments: str, variables: dict[str, str] | None = None) -> None:
    """Run the shared environment's Python."""
    scripts = ENV / ("Scripts" if (ENV / "Scripts").exists() else "bin")
    session.run(
        str(scripts / "python"),
        *arguments,
        env=variables,
        external=True,
        interrupt_timeout=INTERRUPT_S,
        terminate_timeout=INTERRUPT_S,
    )


@nox.session(venv_backend="venv", reuse_venv=True)
def env(session: nox.Session) -> None:
    """Make the environment that all other sessions use."""
    stamp = ENV / "made-from"
    if stamp.exists() and stamp.read_text() == _fingerprint():
        return
    session.install("-c", "constraints.txt", "-e", ".[dev]")
    stamp.write_text(_fingerprint())


@nox.session(requires=["env"])
def bench(session: nox.Session) -> None:
    """Measure what SE costs on this machine: tables and plots in results/local."""
    _python(session, "-m", "bench", "run", *session.posargs)


def _pytest(session: nox.Session, chosen: str) -> None:
    """Run the tests that these markers choose, by two workers."""
    flags = ("-n", "2", "-m", chosen, *session.posargs)
    _python(session, "-m", "pytest", *flags, variables=ONE_THREAD)


@nox.session(requires=["env"])
def tests(session: nox.Session) -> None:
    """Run the tests, but for the slow ones."""
    _pytest(session, "not slow and not gpu and not kernels")


@nox.session(requires=["env"])
def slow(session: nox.Session) -> None:
    """Run the slow tests."""
    _pytest(session, "slow and not gpu")


@nox.session(venv_backend="venv", reuse_venv=True)
@nox.parametrize(
    ("pytest", "benchmark"), [("8.0.0", "5.0.0"), ("9.*", "5.3.*")], ids=["oldest", "newest"]
)
def plugin(session: nox.Session, pytest: str, benchmark: str) -> None:
    """Test the pytest plugin on the oldest and the newest versions that it supports."""
    session.install(
        f"pytest=={pytest}", f"pytest-benchmark=={benchmark}", "numpy", "pytest-timeout",
        "pytest-xdist", "scipy",
    )  # fmt: skip
    # The suite's other conftests need what only the shared environment has.
    session.run(
        "python", "-m", "pytest", "-n", "2", "--noconftest", "-p", "pytester",
        "-p", "tests.bench.interleave.conftest", "tests/bench/interleave", *session.posargs,
    )  # fmt: skip


@nox.session(requires=["env"])
def kernels(session: nox.Session) -> None:
    """Check the CUDA kernels without a GPU: emulated, under sanitizers; launches on stand-ins."""
    _pytest(session, "kernels and not slow and not gpu")


@nox.session(requires=["env"])
def gpu(session: nox.Session) -> None:
    """Run the tests that need a CUDA device."""
    _python(session, "-m", "pytest", "-m", "gpu", *session.posargs)


@nox.session(requires=["env"])
def gate(session: nox.Session) -> None:
    """Both gates as CI runs them: counts, and times against origin/main, or -- --base REV."""
    times = session.posargs or ("--base", "origin/main")
    failed = []
    for name, flags in (("exact", ()), ("gate", times)):
        try:
            _python(session, "-m", "bench", name, *flags)
        except nox.command.CommandFailed:
            failed.append(name)
    if failed:
        session.error(f"failed: {', '.join(failed)}")


@nox.session(requires=["env"])
def gate_proof(session: nox.Session) -> None:
    """Try the timing gate where the truth is known, into results/gate; resumes; two hours."""
    _python(session, "-m", "bench.gate.proof", *session.posargs)


@nox.session(requires=["env"])
def lint(session: nox.Session) -> None:
    """Check style, formatting and workflows; with -- --fix, mend what can be mended."""
    _python(session, "-m", "ruff", "check", ".", *session.posargs)
    _python(session, "-m", "ruff", "format", ".", *([] if session.posargs else ["--check"]))
    schema = ("--builtin-schema", "vendor.github-workflows")  # it comes with the tool
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    _python(session, "-m", "check_jsonschema", *schema, *map(str, workflows))


@nox.session(requires=["env"])
def types(session: nox.Session) -> None:
    """Check the types."""
    _python(session, "-m", "mypy", *session.posargs)


@nox.session(requires=["env"])
def coverage(session: nox.Session) -> None:
    """Simulate how often intervals cover the truth, into results/method; some minutes."""
    _python(session, "-m", "bench.method", "coverage", *session.posargs)


@nox.session(requires=["env"])
def contention(session: nox.Session) -> None:
    """Measure what breaks pairs down under load, into results/method; a quarter of an hour."""
    _python(session, "-m", "bench.method", "contention", *session.posargs)


@nox.session(requires=["env"])
def plugin_proof(session: nox.Session) -> None:
    """Try the pytest plugin on equal models, into results/method; a quarter of an hour."""
    _python(session, "-m", "bench.method", "plugin", *session.posargs)


@nox.session(requires=["env"])
def method(session: nox.Session) -> None:
    """Prove the method beside other tools, into results/local; resumes; two hours at most."""
    _python(session, "-m", "bench.method", "run", *session.posargs)


@nox.session(requires=["env"])
def paths(session: nox.Session) -> None:
    """Measure every way of executing models, into results/paths; resumes; some hours."""
    grid = (
        "--architectures", "resnet18,resnet50", "--reductions", "16", "--batch", "1,8",
        "--layout", "contiguous,channels_last", "--paths", ",".join(EVERY_PATH),
    )  # fmt: skip
    _python(session, "-m", "bench", "run", "--out", "results/paths", *grid, *session.posargs)


@nox.session(requires=["env"])
def bandwidth(session: nox.Session) -> None:
    """Measure what the fused kernels reach, into results/fused; some minutes."""
    _python(session, "-m", "bench.measure.bandwidth", *session.posargs)


@nox.session(requires=["env"])
def first_use(session: nox.Session) -> None:
    """Measure building and loading the fused kernels, into results/fused; some minutes."""
    _python(session, "-m", "bench.measure.first_use", *session.posargs)


@nox.session(requires=["env"])
def cubins(session: nox.Session) -> None:
    """Read what the compiler made of the CUDA kernels, into results/fused."""
    _python(session, "-m", "bench.measure.cubins", *session.posargs)


@nox.session(requires=["env"])
def exports(session: nox.Session) -> None:
    """Export models as ONNX; how far the files are off eager, into results/export; minutes."""
    _python(session, "-m", "bench.measure.onnx_files", *session.posargs)


@nox.session(requires=["env"])
def emulated(session: nox.Session) -> None:
    """Run the CUDA kernels on the CPU; how far they are off float64, into results/fused."""
    _python(session, "-m", "tests.se_models.fused.cuda.errors", *session.posargs)


@nox.session(requires=["env"])
def predict(session: nox.Session) -> None:
    """Predict SE's cost on GPUs that others have measured, into results/predicted."""
    networks = ("--architecture", "resnet18", "--architecture", "resnet50",
                "--architecture", "resnet101")  # fmt: skip
    _python(
        session, "-m", "bench", "predict", "--gpu", "RTX 3090", "--gpu", "RTX 4090", *networks,
        "--batch", "1", "--batch", "256", "--out", "results/predicted", *session.posargs,
    )  # fmt: skip


@nox.session(requires=["env"])
def readme(session: nox.Session) -> None:
    """Write README's table and pictures from results/; with -- --check, only compare."""
    _python(session, "-m", "bench.documents", *session.posargs)
