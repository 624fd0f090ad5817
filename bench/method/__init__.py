"""Whether the method holds: what its intervals and verdicts do where the truth is known."""
