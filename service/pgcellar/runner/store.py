"""What runs learned, in memory and written behind to the control database.

A run never waits for the control database here: everything is read once when the service starts,
and written in batches. What a killed service had not written yet is learned again.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import functools
import hashlib
import json
import logging
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types import json as pg_json

from pgcellar.api import errors, records
from pgcellar.control import database
from pgcellar.notebook import states

logger = logging.getLogger(__name__)

#: Seconds between two writes.
_WRITE_INTERVAL = 0.5
#: Rows read at the start and kept at all, per table; the least recently written go first.
_KEPT_ROWS = 50_000
#: Results larger than this are not remembered: their cell runs again instead.
MAX_OUTCOME_BYTES = 256 * 1024
_KEPT_OUTCOME_BYTES = 64 * 1024 * 1024


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class CellOutcome:
    """What a cell with effects, or of pure reads, gave when it ran as head.

    `ms` is what it took; `body` holds its events as compressed lines, None if they were too long.
    """

    ms: float
    body: bytes | None

    @property
    def bytes(self) -> int:
        """What it takes, roughly."""
        return len(self.body or b"") + 200

    @classmethod
    def of(cls, ms: float, events: Sequence[records.Event] | None) -> CellOutcome:
        """The outcome with these events, or without any."""
        if events is None:
            return cls(ms=ms, body=None)
        body = zlib.compress(b"".join(records.encode(event) for event in events), level=1)
        return cls(ms=ms, body=body if len(body) <= MAX_OUTCOME_BYTES else None)

    def events(self) -> list[records.Event]:
        """The events to give again."""
        lines = zlib.decompress(self.body or b"").splitlines(keepends=True)
        return [records.decode(line) for line in lines]


class KnowledgeStore:
    """The tables facts, learned, rolls, gsets, outcomes, chains; satisfies `states.Knowledge`.

    Of one owner: a sandbox whose user got at its catalog must not teach a neighbour's, and what
    chance gave one is not what it gave another.
    """

    def __init__(self, db: database.ControlDatabase, owner: str) -> None:
        self._db = db
        self.owner = owner
        self._facts: dict[str, states.Facts] = {}
        self._completed: dict[states.Facts, states.Facts] = {}
        #: Of the server's version, so not worth a row per state; set before the first run.
        self.builtin_effects: frozenset[str] = frozenset()
        self.builtin_impure: frozenset[str] = frozenset()
        self._learned: dict[tuple[str, str], states.Outcome] = {}
        self._rolls: dict[tuple[str, str], str] = {}
        self._values: dict[tuple[str, str], dict[str, str | None]] = {}
        self._outcomes: collections.OrderedDict[str, CellOutcome] = collections.OrderedDict()
        self._outcome_bytes = 0
        self._chains: dict[str, tuple[str, ...]] = {}
        self._dirty: dict[tuple[str, Any], tuple[Any, ...]] = {}
        self._writer: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Read what is known, and begin to write behind."""
        limit = {"limit": _KEPT_ROWS, "owner": self.owner}
        for row in await self._db.fetch(
            "select state, body from facts where owner = %(owner)s"
            " order by used desc limit %(limit)s",
            limit,
        ):
            body = row["body"]
            self._facts[row["state"]] = states.Facts(
                names=frozenset(body["names"]),
                reached=body["reached"],
                impure=frozenset(body.get("impure", ())),
                impure_reached=body.get("impure_reached", True),
            )
        for row in await self._db.fetch(
            "select state, statement, effect from learned where owner = %(owner)s"
            " order by used desc limit %(limit)s",
            limit,
        ):
            self._learned[row["state"], row["statement"]] = row["effect"]
        for row in await self._db.fetch(
            "select state, statement, roll from rolls where owner = %(owner)s"
            " order by used desc limit %(limit)s",
            limit,
        ):
            self._rolls[row["state"], row["statement"]] = row["roll"]
        for row in await self._db.fetch(
            "select state, statement, body from gsets where owner = %(owner)s"
            " order by used desc limit %(limit)s",
            limit,
        ):
            self._values[row["state"], row["statement"]] = row["body"]
        for row in await self._db.fetch(
            """
            select key, ms, body from (
              select key, ms, body, sum(bytes) over (order by used desc, key) as total
              from outcomes where owner = %(owner)s) as newest
            where total <= %(bytes)s order by total desc limit %(limit)s
            """,
            {"bytes": _KEPT_OUTCOME_BYTES, **limit},
        ):
            self._keep(row["key"], CellOutcome(ms=row["ms"], body=row["body"] or None))
        for row in await self._db.fetch(
            "select notebook, body from chains where owner = %(owner)s"
            " order by used desc limit %(limit)s",
            limit,
        ):
            self._chains[row["notebook"]] = tuple(row["body"])
        self._writer = asyncio.create_task(self._write_behind())

    async def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer
        with contextlib.suppress(errors.PgcellarError):
            await self._write()
            await self._prune()

    # --- states.Knowledge --------------------------------------------------------------------

    def facts(self, state: str) -> states.Facts | None:
        """See `states.Knowledge`."""
        found = self._facts.get(state)
        return None if found is None else self._complete(found)

    def _complete(self, facts: states.Facts) -> states.Facts:
        """The facts with the built-in functions' names; most states have equal ones."""
        complete = self._completed.get(facts)
        if complete is None:
            names = facts.names | self.builtin_effects
            complete = dataclasses.replace(
                facts, names=names, impure=facts.impure | self.builtin_impure
            )
            self._completed[facts] = complete
        return complete

    def learned(self, state: str, statement: str) -> states.Outcome | None:
        """See `states.Knowledge`."""
        return self._learned.get((state, _key(statement)))

    def values(self, state: str, statement: str) -> Mapping[str, str | None] | None:
        """See `states.Knowledge`."""
        return self._values.get((state, _key(statement)))

    def roll(self, state: str, statement: str) -> str | None:
        """See `states.Knowledge`."""
        return self._rolls.get((state, _key(statement)))

    # --- what runs tell ----------------------------------------------------------------------

    def learn_facts(self, state: str, facts: states.Facts) -> states.Facts:
        """The catalog of a state was looked at; the facts, built-in functions included."""
        if state not in self._facts:
            self._facts[state] = facts
            body = {
                "names": sorted(facts.names),
                "reached": facts.reached,
                "impure": sorted(facts.impure),
                "impure_reached": facts.impure_reached,
            }
            self._dirty["facts", state] = (state, pg_json.Jsonb(body))
        return self._complete(facts)

    def learn(self, state: str, statement: str, outcome: states.Outcome) -> None:
        """A predicted read ran in a state, in a cell that succeeded."""
        key = (state, _key(statement))
        if self._learned.get(key) != outcome:
            self._learned[key] = outcome
            self._dirty["learned", key] = (*key, outcome)

    def learn_values(self, state: str, statement: str, values: dict[str, str | None]) -> None:
        """A query gave these to `\\gset`."""
        key = (state, _key(statement))
        self._values[key] = values
        self._dirty["gsets", key] = (*key, pg_json.Jsonb(values))

    def learn_roll(self, state: str, statement: str, roll: str) -> bool:
        """A volatile statement ran in a state; whether it had run there before."""
        key = (state, _key(statement))
        known = key in self._rolls
        self._rolls[key] = roll
        self._dirty["rolls", key] = (*key, roll)
        return known

    def outcome(self, key: str) -> CellOutcome | None:
        """What a cell gave when it last ran as head."""
        found = self._outcomes.get(key)
        if found is not None:
            self._outcomes.move_to_end(key)
        return found

    def remember(self, key: str, state: str, outcome: CellOutcome) -> None:
        """A cell with effects, or of pure reads, ran as head, up to `state`."""
        self._keep(key, outcome)
        body = outcome.body or b""
        self._dirty.pop(("evicted", key), None)
        self._dirty["outcomes", key] = (key, state, body, outcome.bytes, outcome.ms)

    def _keep(self, key: str, outcome: CellOutcome) -> None:
        """Keep an outcome, and drop those used longest ago beyond the bound."""
        former = self._outcomes.pop(key, None)
        self._outcomes[key] = outcome
        self._outcome_bytes += outcome.bytes - (former.bytes if former else 0)
        while self._outcome_bytes > _KEPT_OUTCOME_BYTES:
            oldest, dropped = self._outcomes.popitem(last=False)
            self._outcome_bytes -= dropped.bytes
            self._dirty.pop(("outcomes", oldest), None)
            self._dirty["evicted", oldest] = (oldest,)

    def chain(self, notebook: str) -> tuple[str, ...]:
        """The digests of a notebook's cells as they last ran."""
        return self._chains.get(notebook, ())

    def save_chain(self, notebook: str, cells: tuple[str, ...]) -> None:
        """The cells of a notebook ran."""
        if self._chains.get(notebook) != cells:
            self._chains[notebook] = cells
            self._dirty["chains", notebook] = (notebook, pg_json.Jsonb(list(cells)))

    # --- writing -----------------------------------------------------------------------------

    async def _write_behind(self) -> None:
        while True:
            await asyncio.sleep(_WRITE_INTERVAL)
            if self._dirty:
                try:
                    await self._write()
                except errors.PgcellarError as exc:
                    logger.warning("what was learned can't be written yet: %s", exc)

    async def _write(self) -> None:
        while self._dirty:
            taken = dict(list(self._dirty.items())[:500])
            async with self._db.connection() as conn, conn.transaction():
                for kind, statement in _WRITES.items():
                    rows = [row for (name, _), row in taken.items() if name == kind]
                    if rows:
                        owned = [(self.owner, *row) for row in rows]
                        await conn.cursor().executemany(statement, owned)
            for key, row in taken.items():
                if self._dirty.get(key) is row:
                    del self._dirty[key]

    async def _prune(self) -> None:
        for table, keys in _KEYS.items():
            await self._db.execute(
                f"delete from {table} where owner = %(owner)s and ({keys}) not in (select {keys}"
                f" from {table} where owner = %(owner)s order by used desc limit %(limit)s)",
                {"limit": _KEPT_ROWS, "owner": self.owner},
            )
        # Of what was written by a service that was killed before it had dropped what gave way.
        await self._db.execute(
            """
            delete from outcomes where owner = %(owner)s and key in (
              select key from (
                select key, sum(bytes) over (order by used desc, key) as total
                from outcomes where owner = %(owner)s) as newest
              where total > %(bytes)s)
            """,
            {"bytes": _KEPT_OUTCOME_BYTES, "owner": self.owner},
        )


_WRITES = {
    "facts": "insert into facts (owner, state, body) values (%s, %s, %s) on conflict do nothing",
    "learned": "insert into learned (owner, state, statement, effect) values (%s, %s, %s, %s)"
    " on conflict (owner, state, statement) do update set effect = excluded.effect, used = now()",
    "rolls": "insert into rolls (owner, state, statement, roll) values (%s, %s, %s, %s)"
    " on conflict (owner, state, statement) do update set roll = excluded.roll, used = now()",
    "gsets": "insert into gsets (owner, state, statement, body) values (%s, %s, %s, %s)"
    " on conflict (owner, state, statement) do update set body = excluded.body, used = now()",
    "outcomes": "insert into outcomes (owner, key, state, body, bytes, ms)"
    " values (%s, %s, %s, %s, %s, %s)"
    " on conflict (owner, key) do update set body = excluded.body, bytes = excluded.bytes,"
    " ms = excluded.ms, used = now()",
    "evicted": "delete from outcomes where owner = %s and key = %s",
    "chains": "insert into chains (owner, notebook, body) values (%s, %s, %s)"
    " on conflict (owner, notebook) do update set body = excluded.body, used = now()",
}
_KEYS = {
    "facts": "state",
    "learned": "state, statement",
    "rolls": "state, statement",
    "gsets": "state, statement",
    "outcomes": "key",
    "chains": "notebook",
}


async def forget(db: database.ControlDatabase, owner: str) -> None:
    """Drop all that was learned for an owner. Nobody may hold a KnowledgeStore of theirs."""
    for table in _KEYS:
        await db.execute(f"delete from {table} where owner = %(owner)s", {"owner": owner})


# Every run asks for that of its head several times.
@functools.lru_cache(maxsize=16)
def outcome_key(
    owner: str, before: str, canonicals: tuple[str, ...], digests: tuple[str, ...]
) -> str:
    """The key of a cell's outcome: whose, the state it ran in, all its statements, its files."""
    text = json.dumps([owner, before, canonicals, digests])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _key(statement: str) -> str:
    """A statement as part of a key: itself, or its digest where it is long or odd."""
    if len(statement) <= 200 and "\0" not in statement and statement.isprintable():
        return statement
    return "#" + hashlib.sha256(statement.encode("utf-8", "surrogatepass")).hexdigest()
