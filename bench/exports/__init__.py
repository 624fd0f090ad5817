"""A run in the formats of other tools: `python -m bench export`."""
