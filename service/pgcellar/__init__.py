"""The services of pgcellar: SQL notebooks without hidden state, on PostgreSQL.

Nothing is imported here, so that a client pays only for the modules it uses.
"""

from __future__ import annotations

__version__ = "0.1.0"
