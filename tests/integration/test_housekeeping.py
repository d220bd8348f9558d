"""Nothing stays of anonymous people who can't come back; nobody else loses anything."""

from __future__ import annotations

import pathlib
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import traitlets.config
from tests import cellar

from pgcellar.api import errors, identities, records
from pgcellar.control import database
from pgcellar.runner import ledger_store

CELLS = ["create table t as select 1 as i", "select i from t"]


@pytest.fixture
def services(cellar_home: pathlib.Path) -> Iterator[cellar.Cellar]:
    config = traitlets.config.Config()
    config.Identity.enabled = True
    config.Identity.anonymous = True
    config.Identity.anonymous_most = 2
    config.Identity.registration = True
    with cellar.Cellar(cellar_home, spares=0, config=config) as made:
        yield made


def issued(services: cellar.Cellar) -> identities.Identity:
    """Somebody anonymous."""
    parts = services.app._people._identity  # type: ignore[attr-defined]
    found = services.call(parts.idp.anonymous("10.0.0.1"))
    return identities.Identity(subject=found["subject"], name=found["name"], kind="anonymous")


def run(services: cellar.Cellar, who: identities.Identity) -> str:
    """Have somebody run a notebook, with a file of theirs; the name of their sandbox."""
    services.app._uploads.put(who.subject, DIGEST, b"abc")
    request = records.RunRequest(
        notebook="n",
        cells=tuple(records.Cell(id=f"c{i}", source=text) for i, text in enumerate(CELLS)),
        head=1,
    )
    services.call(services.app._ledger.submit(who.subject, request))
    assert services.start_for(who.subject, CELLS).result(cellar.TIMEOUT).done.error is None
    profiles = services.app._people._profiles.profiles  # type: ignore[attr-defined]
    services.call(profiles.prefer(who, {"theme": "dark"}))
    found = services.app._environments.find(who.subject)
    assert found is not None
    return found[0].name


DIGEST = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def depart(db: database.ControlDatabase, *subjects: str) -> Any:
    """Let sessions have begun long ago, and be over."""

    async def change() -> None:
        await db.execute(
            "update accounts set created = created - interval '1 day' where subject = any (%s)",
            (list(subjects),),
        )
        await db.execute(
            "update grants set expires = now() - interval '1 s' where subject = any (%s)",
            (list(subjects),),
        )

    return change()


def test_who_can_not_come_back_leaves_nothing(services: cellar.Cellar) -> None:
    db = services.app._db
    ann, bob = issued(services), issued(services)
    hers, his = run(services, ann), run(services, bob)
    with pytest.raises(errors.LimitExceeded, match="2 anonymous people"):
        issued(services)
    # One who signed up in time stays, however long ago that was.
    services.call(
        services.app._people._identity.idp.upgrade(  # type: ignore[attr-defined]
            bob, {"email": "bob@example.org", "password": "correct horse"}, "10.0.0.1"
        )
    )
    services.call(depart(db, ann.subject, bob.subject))
    assert services.call(services.app.housekeeping.round()) == 1
    sandboxes = services.home / "home" / "sandboxes"
    assert not (sandboxes / hers).exists()
    assert (sandboxes / his).is_dir()
    assert services.app._uploads.missing(ann.subject, [DIGEST]) == [DIGEST]
    assert services.app._uploads.missing(bob.subject, [DIGEST]) == []
    columns = services.call(
        db.fetch(
            "select table_name, column_name from information_schema.columns"
            " where table_schema = 'public' and column_name in ('owner', 'subject', 'target')"
            " and table_name not in ('audit', 'audit_days')"
        )
    )
    assert len(columns) > 10
    for column in columns:
        table, name = column["table_name"], column["column_name"]
        left = services.call(
            db.fetch(f"select 1 from {table} where {name} = %s", (ann.subject,))  # type: ignore[arg-type]
        )
        assert left == [], (table, name)
    # A second round finds nobody, and there is room for somebody.
    assert services.call(services.app.housekeeping.round()) == 0
    issued(services)
    ran = services.start_for(bob.subject, CELLS).result(cellar.TIMEOUT)
    assert ran.results[-1].rows == (("1",),)
    assert "replayed" not in ran.sources


def test_what_can_not_be_removed_now_is_removed_later(
    services: cellar.Cellar, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = issued(services)
    run(services, ann)
    services.call(depart(services.app._db, ann.subject))

    def fails(owner: str) -> None:
        raise OSError("no")

    with monkeypatch.context() as patch:
        patch.setattr(services.app._uploads, "forget", fails)
        assert services.call(services.app.housekeeping.round()) == 0
    assert services.call(services.app.housekeeping.round()) == 1


async def test_kept_runs_of_one_owner_have_a_ceiling(control: database.ControlDatabase) -> None:
    store = ledger_store.RunStore(control)
    owners = [secrets.token_hex(8) for _ in range(2)]
    for owner in owners:
        for age in range(4):
            await control.execute(
                "insert into runs (id, owner, digest, notebook, head, request, events, status,"
                " created, finished) values (%s, %s, '', 'n', 'c', '', %s, 'done',"
                " now() - make_interval(mins => %s), now())",
                (f"{owner}-{age}", owner, b"x" * 100, age),
            )

    async def left(owner: str) -> list[str]:
        rows = await control.fetch(
            "select id from runs where owner = %s order by created desc", (owner,)
        )
        return [row["id"].rpartition("-")[2] for row in rows]

    assert await store.trim(150, owners[0]) == 2
    assert await left(owners[0]) == ["0", "1"]
    assert await left(owners[1]) == ["0", "1", "2", "3"]
    # The last one stays, whatever its size.
    assert await store.trim(10) >= 4
    assert await left(owners[0]) == await left(owners[1]) == ["0"]
