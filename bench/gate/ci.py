"""What continuous integration is told: on its console, and in a step's summary."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

# Where GitHub Actions, and Gitea's and Forgejo's, take Markdown for a job's page.
SUMMARY = "GITHUB_STEP_SUMMARY"


def publish(markdown: str) -> None:
    """Print a report, and add it to the step's summary where there is one.

    Raises:
        OSError: if either cannot be written; the other is.
    """
    try:
        print(markdown, end="", flush=True)
    except OSError:
        # What is left in the buffer would fail again at exit, and change the exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
    finally:
        summary = os.environ.get(SUMMARY)
        if summary:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(f"{markdown}\n")


def show(what: str, write: Callable[[], object]) -> None:
    """Show what was found; that a disk is full, say, is no verdict."""
    try:
        write()
    except Exception as error:
        tell(f"warning: {what} could not be written: {error}")


def tell(line: str) -> None:
    """Say a line beside the report."""
    with suppress(OSError):  # whoever read it may be gone
        print(line, file=sys.stderr, flush=True)
