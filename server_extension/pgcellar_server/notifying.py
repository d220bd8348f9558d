"""Operations are told to whoever listens at Jupyter Server's event bus (`/api/events/subscribe`).

They are notifications, for a panel that shows what goes on. They prove nothing, since whoever may
send events to the server can send these too: the audit log does.
"""

from __future__ import annotations

import logging
import pathlib

import jupyter_events

logger = logging.getLogger(__name__)

SCHEMA_ID = "https://pgcellar.org/events/operation"
_SCHEMA = pathlib.Path(__file__).parent / "event_schemas" / "operation.yaml"


def register(events: jupyter_events.EventLogger | None) -> None:
    """Make the schema known to a server."""
    if events is not None and SCHEMA_ID not in events.schemas:
        events.register_event_schema(_SCHEMA)


def operation(
    events: jupyter_events.EventLogger | None,
    name: str,
    *,
    user: str,
    status: int,
    resource: str | None = None,
) -> None:
    """Tell that an operation was answered. A listener that fails is nobody else's matter."""
    if events is None:
        return
    data = {"operation": name, "user": user, "status": status}
    if resource is not None:
        data["resource"] = resource
    try:
        events.emit(schema_id=SCHEMA_ID, data=data)
    except Exception:
        logger.exception("telling of %s", name)
