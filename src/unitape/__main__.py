"""``python -m unitape`` is the command ``unitape``."""

from __future__ import annotations

import sys

from unitape.cli import main

if __name__ == "__main__":
    sys.exit(main())
