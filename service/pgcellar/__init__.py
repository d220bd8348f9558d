"""The services of pgcellar: SQL notebooks without hidden state, on PostgreSQL.

Nothing is imported here, so that a client pays only for the modules it uses.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext pgcellar` in a Python notebook."""
    from pgcellar import magic

    magic.load(shell)
