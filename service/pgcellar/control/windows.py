"""Sliding windows in the control database: how much was done lately, across all replicas.

A window is cut into slots of time, and an amount is added to the present slot if all slots that
the window touches, the first one wholly, hold no more than the limit allows. So in no stretch of
the window's length is the limit exceeded, and it frees itself a slot later at most. The clock is
the database's, and adding is one statement under the row's lock. No library that counts so has a
store in PostgreSQL.
"""

from __future__ import annotations

import dataclasses
import math

from pgcellar.control import database

#: Slots of one window: an act is counted for at most a sixtieth of the window too long.
SLOTS = 60

_TAKE = """
with present as (
    select floor(extract(epoch from clock_timestamp()) / %(slot)s)::bigint as slot
), took as (
    insert into windows as w (key, slots, amounts, expires)
    select %(key)s, array[slot], array[%(amount)s::float8],
        clock_timestamp() + make_interval(secs => %(window)s * 2)
    from present where %(amount)s::float8 <= %(limit)s::float8
    on conflict (key) do update set
        (slots, amounts) = (
            select array_agg(slot order by slot), array_agg(amount order by slot) from (
                select slot, sum(amount) as amount from (
                    select * from unnest(w.slots, w.amounts) as old (slot, amount)
                    union all select excluded.slots[1], excluded.amounts[1]
                ) as every
                where slot >= excluded.slots[1] - %(slots)s group by slot
            ) as kept
        ),
        expires = excluded.expires
    where excluded.amounts[1] + coalesce((
        select sum(amount) from unnest(w.slots, w.amounts) as old (slot, amount)
        where slot >= excluded.slots[1] - %(slots)s
    ), 0) <= %(limit)s::float8
    returning true
)
select exists (select from took) as taken, present.slot as present,
    extract(epoch from clock_timestamp())::float8 as now, w.slots, w.amounts
from present left join windows as w on w.key = %(key)s
"""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """Whether an amount was admitted, and if not, in how many seconds it can be; 0 for never."""

    admitted: bool
    retry_after: float = 0.0


class Windows:
    """The table `windows`."""

    def __init__(self, db: database.ControlDatabase) -> None:
        self._db = db

    async def take(self, key: str, *, amount: float, limit: float, seconds: float) -> Taken:
        """Add an amount to what was done in the last `seconds`, if the limit allows it."""
        slot = seconds / SLOTS
        (row,) = await self._db.fetch(
            _TAKE,
            {
                "key": key,
                "amount": amount,
                "limit": limit,
                "window": seconds,
                "slot": slot,
                "slots": SLOTS,
            },
        )
        if row["taken"]:
            return Taken(admitted=True)
        if amount > limit:
            return Taken(admitted=False)
        free = _free_at(row["slots"] or [], row["amounts"] or [], row["present"], limit - amount)
        return Taken(admitted=False, retry_after=max(free * slot - row["now"], slot))

    async def used(self, key: str, *, seconds: float) -> float:
        """How much of a limit the last `seconds` have used."""
        rows = await self._db.fetch(
            """
            select coalesce(sum(amount), 0)::float8 as used
            from windows, unnest(slots, amounts) as each (slot, amount)
            where key = %(key)s and slot >=
                floor(extract(epoch from clock_timestamp()) / %(slot)s)::bigint - %(slots)s
            """,
            {"key": key, "slot": seconds / SLOTS, "slots": SLOTS},
        )
        return float(rows[0]["used"])

    async def clear(self, key: str) -> None:
        """Forget what was counted."""
        await self._db.execute("delete from windows where key = %(key)s", {"key": key})

    async def tidy(self) -> int:
        """Remove windows that have passed; how many."""
        return await self._db.execute("delete from windows where expires < now()")


def _free_at(slots: list[int], amounts: list[float], present: int, room: float) -> int:
    """The first slot in which no more than `room` is in use."""
    live = [(s, a) for s, a in zip(slots, amounts, strict=True) if s >= present - SLOTS]
    used = math.fsum(amount for _, amount in live)
    for slot, amount in live:
        used -= amount
        if used <= room:
            return slot + SLOTS + 1
    return present + 1
