"""A process's replies, apart from what else it prints.

It imports nothing of this project, so that it can come before anything that may print.
"""

from __future__ import annotations

import os
import sys
from typing import BinaryIO


def own_output() -> BinaryIO:
    """The standard output, for replies alone: what else prints goes to standard error from now."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return replies
