"""`python -m pgcellar_server`: the central gateway."""

from __future__ import annotations

from pgcellar_server import central

central.main()
