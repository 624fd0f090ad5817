"""The process that a candidate lives in: ``python -P -m bench.measure.candidate_process``.

With ``--package se_models --threads 2``, and the tree ahead of all else on
``PYTHONPATH``. Whatever imports the tree may print, and this suite's own modules
import it too: the pipe for replies is taken before any of them is imported.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import sys

from bench.measure.pipes import own_output


def main() -> None:
    """Serve on standard input and output; what else prints goes to standard error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", required=True, metavar="NAME")
    parser.add_argument("--threads", required=True, type=int, metavar="N")
    options = parser.parse_args()
    replies = own_output()
    found = importlib.import_module(options.package)
    from bench.measure.candidate import Candidate
    from bench.measure.serving import serve
    from bench.protocol import Tree

    gc.freeze()  # what the imports made stays, and need not be walked
    tree = Tree(found.__file__ or "")
    serve(tree, Candidate(options.threads).answer, sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
