"""How a variant's numbers have changed from run to run: `python -m bench history`."""
