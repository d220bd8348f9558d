"""The gateway: the services' REST face, as a Jupyter Server extension. No SQL logic here."""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Where Jupyter Server finds the extension."""
    from pgcellar_server import app

    return [{"module": "pgcellar_server", "app": app.Gateway}]
