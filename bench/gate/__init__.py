"""Two gates for continuous integration: of counts, which are exact, and of times, which are not."""
