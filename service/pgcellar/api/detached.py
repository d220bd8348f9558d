"""Processes that are meant to outlive whoever starts them."""

from __future__ import annotations

import subprocess


class Detached(subprocess.Popen[bytes]):
    """A process that may outlive us: that it does so is no mistake to be warned of."""

    def __del__(self) -> None:
        """Reap it if it has ended; without the warning that Popen gives."""
        if getattr(self, "pid", None):
            self.poll()
