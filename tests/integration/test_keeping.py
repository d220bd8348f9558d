"""Which states are kept at once, and that the index and the databases never disagree for long."""

from __future__ import annotations

import datetime
import pathlib

import psycopg
import pytest
from psycopg import sql
from tests import cellar as cellars

from pgcellar.runner import workspace
from pgcellar.snapshots import store

#: What a clone is taken to last; a cell that takes less is cheaper to replay.
CLONE_MS = 700.0
DEAR = "create table dear as select 1 as a from pg_sleep(0.8)"
CHEAP = "create table cheap as select 1 as a"


def settled(cellar: cellars.Cellar, notebook: str) -> None:
    """Wait for what the next run would wait for, and end the rest of the work between runs."""

    async def wait() -> None:
        held = (await cellar.runner.space(cellars.OWNER)).notebook(notebook)
        async with held.lock:
            await held.quiet()

    cellar.call(wait())


def is_kept(cellar: cellars.Cellar, state: str | None) -> bool:
    """Whether there is a snapshot of a state."""
    assert state is not None
    return cellar.space().snapshots.find(state) is not None


def test_dear_states_are_kept_at_once_and_cheap_ones_when_idle(
    cellar_home: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state is worth a clone as soon as replaying it takes longer than that."""
    with cellars.Cellar(cellar_home, spares=0) as cellar:
        monkeypatch.setattr(cellar.space().snapshots, "clone_ms", lambda size: CLONE_MS)
        monkeypatch.setattr(workspace, "IDLE_SECONDS", 3600.0)
        dear = cellar.run([DEAR], notebook="dear").head
        cheap = cellar.run([CHEAP], notebook="cheap").head
        assert not dear.volatile
        for notebook in ("dear", "cheap"):
            settled(cellar, notebook)
        assert is_kept(cellar, dear.state)
        assert not is_kept(cellar, cheap.state)
        # What led to it counts, as far as that is not kept itself.
        below = cellar.run(
            [CHEAP, "insert into cheap select 2 from pg_sleep(0.8)"], notebook="cheap"
        )
        settled(cellar, "cheap")
        assert is_kept(cellar, below.head.state)
        assert not is_kept(cellar, cheap.state)
        monkeypatch.setattr(workspace, "IDLE_SECONDS", 0.0)
        idle = cellar.run([CHEAP, "insert into cheap values (3)"], notebook="cheap").head
        cellar.quiet("cheap")
        assert is_kept(cellar, idle.state)


def test_index_and_databases_are_reconciled_both_ways(cellar_home: pathlib.Path) -> None:
    """Whatever a service that was killed has left half-done, in either of them."""
    with cellars.Cellar(cellar_home, spares=0) as cellar:
        states = []
        for notebook in ("whole", "lost", "pending", "dropping"):
            states.append(cellar.run([f"create table {notebook} (a int)"], notebook=notebook))
            cellar.quiet(notebook)
        whole, lost, pending, dropping = (str(ran.head.state) for ran in states)
        assert all(is_kept(cellar, state) for state in (whole, lost, pending, dropping))
        spoil(cellar, lost=lost, pending=pending, dropping=dropping)
    with cellars.Cellar(cellar_home, spares=0) as cellar:
        rows, databases = look(cellar)
        assert {row.status for row in rows} == {"ready"}
        assert whole in {row.state for row in rows}
        assert not {row.state for row in rows} & {lost, pending, dropping}
        kept = {name for name in databases if name.startswith("s_")}
        assert kept == {row.database for row in rows}
        assert not databases & {"s_stray", "i_stray"}
        assert cellar.call(cellar.space().snapshots.reconcile()) == 0
        again = cellar.run(["create table whole (a int)", "select 1"], notebook="whole")
        assert again.sources == ["hit", "head"]
        again = cellar.run(["create table lost (a int)", "select 1"], notebook="lost")
        assert (again.sources, again.done.error) == (["replayed", "head"], None)


def spoil(cellar: cellars.Cellar, *, lost: str, pending: str, dropping: str) -> None:
    """Leave behind what services leave that are killed at one moment or another."""
    space = cellar.space()
    index = store.SnapshotStore(cellar.app._db)
    names = {state: space.snapshots.find(state).database for state in (lost, pending, dropping)}
    (row,) = [one for one in look(cellar)[0] if one.state == pending]
    address = cellar.call(cellar.address("postgres"))
    with address.connect() as connection:
        drop(connection, names[lost])
        for name in ("s_stray", "i_stray"):
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    # The cache would write down what it knows when it ends in order.
    space.snapshots._snapshots.clear()
    for state, status in ((pending, "pending"), (dropping, "dropping")):
        execute = "update snapshots set status = %s where state = %s"
        cellar.call(cellar.app._db.execute(execute, (status, state)))
    # One that was never made, and one that is gone already.
    for state, status in (("a" * 64, "pending"), ("b" * 64, "dropping")):
        now = datetime.datetime.now(datetime.UTC)
        made = store.Snapshot(
            state=state,
            parent=row.parent,
            database=f"s_{state[:32]}",
            status=status,
            created=now,
            last_used=now,
        )
        cellar.call(index.save(space.info.name, made))


def drop(connection: psycopg.Connection[object], name: str) -> None:
    """Drop a database behind the service's back."""
    connection.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))


def look(cellar: cellars.Cellar) -> tuple[list[store.Snapshot], set[str]]:
    """The index of the sandbox, and its databases."""
    space = cellar.space()
    rows = cellar.call(store.SnapshotStore(cellar.app._db).of(space.info.name))
    return rows, cellar.call(space._control.databases())
