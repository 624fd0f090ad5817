"""The run: plans, starts workers, records, shows how far it is. It never imports torch."""
