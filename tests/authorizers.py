"""An authorizer for a real Jupyter Server: people may look, and no more."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth import Authorizer


class ReadOnly(Authorizer):
    """Lets everybody read what is pgcellar's, and nothing else of it."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        """See `Authorizer`."""
        return resource != "pgcellar" or action == "read"
