"""The names in states, for completion: looked up once a state, while nobody has to wait for it.

Who asks may leave before the answer is there, and asks again at the next key stroke: the look goes
on meanwhile, and what it found is held for a while.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Protocol, TypeVar

from pgcellar.api import catalogs, errors, names, records
from pgcellar.runner import connections, workspace
from pgcellar.runner.looks import catalog, sides

R = TypeVar("R")

#: Seconds that a look may take.
SECONDS = 10.0
#: Looks at a time, of all owners; of one owner it is one.
_AT_ONCE = 2
#: Answers that are held: an owner's kernels hold what they were given, so few are asked for again.
_HELD = 16
#: Bytes that each kind of names may have: together they are in memory for as many answers.
_MAX_BYTES = 2 << 20
#: PostgreSQL's default, for a session that has not set another.
_DEFAULT_PATH = '"$user", public'
_SCHEMAS = (
    "select nspname from pg_namespace where nspname !~ '^pg_(toast|temp)' order by 1 limit 5001"
)
_KEYWORDS = "select word, catcode from pg_get_keywords() order by 1"
_SETTINGS = (
    "select name, vartype, short_desc, to_json(enumvals)"
    " from pg_settings where context in ('user', 'superuser') order by 1"
)


class Standing(Protocol):
    """What the runner knows of where a head stands."""

    async def above(self, owner: str, request: records.RunRequest) -> tuple[str, int]:
        """See `pgcellar.runner.service.Runner.above`."""

    def running(self, owner: str) -> contextlib.AbstractAsyncContextManager[workspace.Workspace]:
        """See `pgcellar.runner.service.Runner.running`."""


class NameLooks:
    """See the module."""

    def __init__(self, runner: Standing) -> None:
        self._runner = runner
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._tasks: dict[tuple[str, str], asyncio.Task[Any]] = {}
        self._held: collections.OrderedDict[tuple[str, str], Any] = collections.OrderedDict()

    async def find(self, owner: str, request: names.NamesRequest) -> names.NamesFound:
        """The names in the nearest kept state above a head.

        Raises Conflict where the owner has no sandbox that runs, or ServiceUnavailable.
        """
        state, left = await self._runner.above(owner, request.run)
        if state in request.known:
            return names.NamesFound(state=state, left=left)
        found: names.Names = await self._once((owner, state), lambda: self._names(owner, state))
        return names.NamesFound(state=state, left=left, names=found)

    async def vocabulary(self, owner: str) -> names.Vocabulary:
        """What PostgreSQL itself brings. Raises as `find` does."""
        async with self._runner.running(owner) as space:
            base = space.snapshots.base
        # The base is the same for all sandboxes with that id, and nobody can change it.
        found: names.Vocabulary = await self._once(
            ("", base), lambda: self._vocabulary(owner, base)
        )
        return found

    async def _once(
        self, key: tuple[str, str], look: Callable[[], Coroutine[Any, Any, Any]]
    ) -> Any:
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(look())
            task.add_done_callback(lambda done: self._looked(key, done))
        return await asyncio.shield(task)

    def _looked(self, key: tuple[str, str], done: asyncio.Task[Any]) -> None:
        del self._tasks[key]
        # Of an error nobody may wait for, this takes note.
        if not done.cancelled() and done.exception() is None:
            self._held[key] = done.result()
            while len(self._held) > _HELD:
                self._held.popitem(last=False)

    async def _names(self, owner: str, state: str) -> names.Names:
        async with self._side(owner, state) as (side, deadline):
            who, _ = await side.rows("select current_user", deadline, max_rows=1)
            relations, all_relations = await catalog.relations(side, deadline, _MAX_BYTES)
            members, all_members = await _read(
                side, _query("members.sql", own=False), catalogs.RelationInfo, deadline
            )
            routines, all_routines = await _read(
                side, _query("routines.sql", own=False), names.RoutineInfo, deadline
            )
            types, all_types = await _read(
                side, _query("types.sql", own=False), names.TypeInfo, deadline
            )
            schemas, all_schemas = await side.rows(_SCHEMAS, deadline, max_rows=catalog.MAX_OBJECTS)
        return names.Names(
            state=state,
            search_path=side.settings.get("search_path") or _DEFAULT_PATH,
            user=who[0][0] or "",
            schemas=tuple(row[0] or "" for row in schemas),
            relations=(*relations, *members),
            routines=routines,
            types=types,
            complete=all_relations and all_members and all_routines and all_types and all_schemas,
        )

    async def _vocabulary(self, owner: str, base: str) -> names.Vocabulary:
        async with self._side(owner, base) as (side, deadline):
            relations, _ = await _read(
                side, _query("members.sql", own=True), catalogs.RelationInfo, deadline
            )
            routines, _ = await _read(
                side, _query("routines.sql", own=True), names.RoutineInfo, deadline
            )
            types, _ = await _read(side, _query("types.sql", own=True), names.TypeInfo, deadline)
            words, _ = await side.rows(_KEYWORDS, deadline, max_rows=catalog.MAX_OBJECTS)
            settings, _ = await side.rows(_SETTINGS, deadline, max_rows=catalog.MAX_OBJECTS)
        return names.Vocabulary(
            base=base,
            relations=relations,
            routines=routines,
            types=types,
            keywords=tuple(
                names.KeywordInfo(word=row[0] or "", category=row[1] or "U") for row in words
            ),
            settings=tuple(
                names.SettingInfo(
                    name=row[0] or "",
                    type=row[1] or "",
                    comment=row[2],
                    values=tuple(json.loads(row[3] or "null") or ()),
                )
                for row in settings
            ),
        )

    @contextlib.asynccontextmanager
    async def _side(
        self, owner: str, state: str
    ) -> AsyncIterator[tuple[sides.Side, sides.Deadline]]:
        deadline = sides.Deadline(SECONDS)
        turn = self._turns.setdefault(owner, asyncio.Lock())
        try:
            async with (
                turn,
                self._slots,
                self._runner.running(owner) as space,
                sides.open_side(space, state) as side,
            ):
                yield side, deadline
        except connections.StatementFailed as exc:
            raise errors.ServiceUnavailable(
                f"The names in the state {state[:12]} can't be read: {sides.failed(exc)}"
            ) from exc
        except TimeoutError:
            raise errors.ServiceUnavailable(
                f"The names in the state {state[:12]} could not be read in time."
            ) from None


def _query(name: str, *, own: bool) -> str:
    return catalog.sql(name).replace("{own}", str(own))


async def _read(
    side: sides.Side, query: str, cls: type[R], deadline: sides.Deadline
) -> tuple[tuple[R, ...], bool]:
    return await catalog.listed(side, query, cls, deadline, _MAX_BYTES)
