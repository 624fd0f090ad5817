"""The suite's own benchmarks for pytest-benchmark: ``pytest bench --benchmark-interleave``.

A module, a block, a whole network, in every placement and by several paths.
For a person's own numbers `nox -s bench` is better: it measures over several
processes. These are for whoever works on the code, or tracks it with
pytest-benchmark.
"""
