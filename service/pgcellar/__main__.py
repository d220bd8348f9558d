"""`python -m pgcellar` is the command line."""

from __future__ import annotations

import sys

from pgcellar.cli import main

sys.exit(main.main())
