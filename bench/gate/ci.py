"""What continuous integration is told: on its console, and in a step's summary."""

from __future__ import annotations

import os
from pathlib import Path

# Where GitHub Actions, and Gitea's and Forgejo's, take Markdown for a job's page.
SUMMARY = "GITHUB_STEP_SUMMARY"


def publish(markdown: str) -> None:
    """Print a report, and add it to the step's summary where there is one."""
    print(markdown, end="")
    summary = os.environ.get(SUMMARY)
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(f"{markdown}\n")
