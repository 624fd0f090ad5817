"""A pytest plugin: pytest-benchmark's benchmarks, measured in rounds instead of one by one."""
