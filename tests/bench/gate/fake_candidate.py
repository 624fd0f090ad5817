"""Speaks as a candidate does, without torch; a forward takes as long as the package says.

The package's ``MS`` is a forward's time, ``DIES`` says when the process does, and
``FAILING`` names what is there and cannot be made.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import sys

from bench.protocol import Held, Hold, Ready, Sample, Tree, decode_command, encode


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--package")
    parser.add_argument("--threads")
    package = importlib.import_module(parser.parse_args().package)
    rng = random.Random(os.getpid())
    bias = rng.lognormvariate(0, 0.001)
    held: list[float] = []
    sys.stdout.buffer.write(encode(Tree(package.__file__ or "")) + encode(Ready()))
    sys.stdout.buffer.flush()
    for line in sys.stdin.buffer:
        command = decode_command(line)
        if isinstance(command, Hold):
            name = command.what.partition(":")[2]
            if name in getattr(package, "FAILING", ()):
                answer: Held | Sample = Held(None, "KeyError: 'weights'")
            elif hasattr(package, name):
                held.append(package.MS if name == "quick" else 4.0)
                answer = Held(len(held) - 1)
            else:
                answer = Held(None, f"AttributeError: no {name}", lacking=True)
        else:
            if getattr(package, "DIES", False):
                os._exit(3)
            time_s = bias * held[command.place] / 1000 * rng.lognormvariate(0, 0.01)  # type: ignore[union-attr]
            answer = Sample(time_s, time_s)
        sys.stdout.buffer.write(encode(answer) + encode(Ready()))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
