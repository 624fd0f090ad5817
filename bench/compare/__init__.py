"""`compare`: two trials of a run, or two runs, against each other; torch-free."""
