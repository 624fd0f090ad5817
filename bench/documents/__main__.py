"""``python -m bench.documents``."""

import sys

from bench.documents.command import main

if __name__ == "__main__":
    sys.exit(main())
