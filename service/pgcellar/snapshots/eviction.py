"""Which snapshots to give up when there are too many: pure.

A snapshot is worth (cost to rebuild × expected reuse) / (bytes + a charge per state), with ageing:
reuse is the number of hits halved for every `HALF_LIFE` since the last. The ceiling has
no exemption by age (DESIGN.md, section 4).
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Collection, Iterable

from pgcellar.snapshots import store

HALF_LIFE = datetime.timedelta(hours=4)
#: A state also costs about 314 inodes and a share of every checkpoint, whatever its size.
STATE_CHARGE = 2 * 1024 * 1024


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much the snapshots of one sandbox may take."""

    bytes: int = 8 * 1024**3
    count: int = 400


def victims(
    snapshots: Iterable[store.Snapshot],
    limits: Limits,
    now: datetime.datetime,
    keep: Collection[str] = (),
) -> list[store.Snapshot]:
    """The snapshots to drop, least valuable first, until the rest is within the limits.

    States in `keep` are not dropped: the base must be among them.
    """
    held = sorted(snapshots, key=lambda snapshot: worth(snapshot, now))
    total, count = sum(s.bytes for s in held), len(held)
    out = []
    for snapshot in held:
        if total <= limits.bytes and count <= limits.count:
            break
        if snapshot.state in keep:
            continue
        out.append(snapshot)
        total -= snapshot.bytes
        count -= 1
    return out


def worth(snapshot: store.Snapshot, now: datetime.datetime) -> float:
    """Milliseconds of replay a byte of this snapshot may be expected to save."""
    age = (now - snapshot.last_used) / HALF_LIFE
    reuse: float = (1 + snapshot.hits) * 0.5 ** max(0.0, age)
    return snapshot.cost_ms * reuse / (snapshot.bytes + STATE_CHARGE)
