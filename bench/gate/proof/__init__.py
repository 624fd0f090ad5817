"""Whether the timing gate cries wolf, and what it misses: ``python -m bench.gate.proof``."""
