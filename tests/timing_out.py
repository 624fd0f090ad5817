"""Time limits for what may hang within C, where no signal's handler is ever run."""

from __future__ import annotations

import pytest


def hanging(limit_s: float) -> pytest.MarkDecorator:
    """A limit that ends the whole process, with all stacks, whatever holds its main thread.

    The usual one raises out of a signal's handler, which Python runs only once
    the call that hangs has returned.
    """
    return pytest.mark.timeout(limit_s, method="thread")
