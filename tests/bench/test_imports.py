"""Who imports whom, as docs/architecture.md draws it."""

from __future__ import annotations

import subprocess
import sys

import grimp
import pytest

STDLIB = set(sys.stdlib_module_names)
CORE = {
    f"bench.{name}"
    for name in (
        "trial", "grid", "order", "record", "ledger", "breakdown", "doubt", "quota", "cpus",
        "environment", "stats", "verdict", "waiting", "protocol", "options", "files",
        "line_files", "git", "exact", "limited",
    )
}  # fmt: skip
SHOWING = {
    "bench.table", "bench.summary", "bench.path_summary", "bench.path_matrix", "bench.plots",
    "bench.documents", "bench.compare", "bench.history", "bench.exports", "bench.quantities",
}  # fmt: skip
CONFIG = {"se_models.config", "se_models.flags"}
LIGHT = {"numpy", "scipy", "msgspec", "psutil"}

# (modules, what of the project they may import, what else they may import)
RULES = [
    ({"se_models.config"}, set(), set()),
    ({"se_models.flags"}, {"se_models.config"}, set()),
    (
        {"se_models"},
        {"se_models"},
        {
            "torch",
            "torchvision",
            "lazy_loader",
            "filelock",
            "platformdirs",
            "onnxruntime",
            "cuda",
        },
    ),
    (CORE, CORE | CONFIG, LIGHT),
    (
        {"bench.run"},
        {"bench.run"} | CORE | SHOWING | CONFIG,
        LIGHT | {"rich", "pandas"},
    ),
    (
        {"bench.documents"},
        SHOWING | CORE | CONFIG | {"bench.method", "bench.gate.proof", "bench.run.run_file"},
        LIGHT | {"pandas"},
    ),
    (
        {"bench.history"},
        {"bench.history"} | SHOWING | CORE | {"bench.run.run_file"},
        LIGHT | {"rich", "pandas", "matplotlib", "ruptures"},
    ),
    (
        {"bench.exports"},
        {"bench.exports"} | SHOWING | CORE | {"bench.run.run_file"},
        LIGHT | {"pandas", "pytest_benchmark"},
    ),
    (
        SHOWING,
        SHOWING | CORE | CONFIG | {"bench.run.run_file"},
        LIGHT | {"rich", "pandas", "matplotlib"},
    ),
    (
        {"bench.method"},
        {"bench.method", "bench.run.schedule", "bench.plots"} | CORE,
        LIGHT | {"pandas", "matplotlib"},
    ),
    (
        {"bench.gate.proof"},
        {"bench.gate", "bench.method"} | SHOWING | CORE | CONFIG,
        LIGHT | {"pandas", "matplotlib"},
    ),
    (
        {"bench.gate"},
        {"bench.gate", "bench.run.worker_process"} | SHOWING | CORE,
        LIGHT | {"rich", "pandas", "matplotlib"},
    ),
    ({"bench.interleave.plugin"}, {"bench.interleave"}, {"pytest"}),
    (
        {"bench.interleave"},
        {"bench.interleave"} | CORE,
        LIGHT | {"pytest", "_pytest", "pytest_benchmark"},
    ),
    (
        {"bench.benchmarks"},
        {"bench.benchmarks", "bench.measure"} | CORE | {"se_models"},
        {"torch", "pytest"},
    ),
    (
        {"bench.measure"},
        {"bench.measure"} | CORE | {"se_models"},
        LIGHT | {"torch", "torchvision", "fvcore", "onnxruntime", "openvino", "cuda"},
    ),
    ({"bench.texts"}, set(), set()),
    ({"bench.cli"}, {"bench.commands", "bench.options", "bench.texts", "bench.trial"}, set()),
    ({"bench.commands"}, CORE | SHOWING | CONFIG | {"bench.run", "bench.gate"}, {"rich", "pandas"}),
    ({"bench.__main__"}, {"bench.cli"}, set()),
]


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("bench", "se_models", include_external_packages=True, cache_dir=None)


def belongs(module: str, parents: set[str]) -> bool:
    return any(module == parent or module.startswith(f"{parent}.") for parent in parents)


def rule_of(module: str) -> tuple[set[str], set[str]] | None:
    """The most specific rule: the first that names the module or a package of it."""
    for modules, inside, outside in RULES:
        if belongs(module, modules):
            return inside, outside
    return None


def ours(graph: grimp.ImportGraph) -> list[str]:
    return sorted(m for m in graph.modules if belongs(m, {"bench", "se_models"}) and m != "bench")


def test_every_module_has_a_rule(graph: grimp.ImportGraph) -> None:
    """A new module must be given its place in the house."""
    assert [module for module in ours(graph) if rule_of(module) is None] == []


def test_no_module_imports_what_its_rule_forbids(graph: grimp.ImportGraph) -> None:
    """The table of docs/architecture.md holds, for imports inside functions too."""
    broken = []
    for module in ours(graph):
        inside, outside = rule_of(module) or (set(), set())
        for imported in graph.find_modules_directly_imported_by(module):
            if belongs(imported, {"bench", "se_models"}):
                allowed = belongs(imported, inside)
            else:
                allowed = imported in outside | STDLIB
            if not allowed:
                broken.append(f"{module} imports {imported}")
    assert broken == []


@pytest.mark.parametrize(
    "statement",
    [
        "import bench.record, bench.ledger, bench.stats, bench.options",
        "import bench.table, bench.summary, bench.plots, bench.compare.command",
        "import bench.documents.command",
        "import bench.run.command",
        "import bench.gate.command, bench.gate.exact_command",
        "import se_models.config",
    ],
)
def test_what_reads_results_loads_no_torch(statement: str) -> None:
    """From the record on everything runs without torch, whatever is imported on the way."""
    check = f"import sys; {statement}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
