"""Extensions that are not trusted: had where whoever operates pgcellar lists them."""

from __future__ import annotations

import pathlib

from tests import cellar as cellars

TABLE = "create table t (a int)"
NEAR = (
    "create table p (at vector(2)); insert into p values ('[3,4]'), ('[0,0]')",
    "select at <-> '[0,0]', round(earth_distance(ll_to_earth(0, 0), ll_to_earth(0, 180)) / 1e6)"
    " from p order by 1",
)


def test_what_is_listed_is_in_the_base(cellar_home: pathlib.Path) -> None:
    """With what it requires, for every notebook; what is not listed is refused, and by whom."""
    with cellars.Cellar(cellar_home) as plain:
        refused = plain.run(["create extension vector"]).done.error
        assert refused is not None
        assert refused.sqlstate == "42501"
        assert "c.ServiceApp.extensions" in (refused.hint or "")
        unknown = plain.run(NEAR, 0).done.error
        assert unknown is not None
        assert unknown.sqlstate == "42704"
        before = plain.run([TABLE], notebook="base").head.state
    with cellars.Cellar(cellar_home, extensions=["vector", "earthdistance"]) as listed:
        assert listed.space().snapshots.base != before
        there = listed.run([TABLE], notebook="base").head
        # Nothing that was known of another base is taken for this one's.
        assert (there.source, there.state == before) == ("head", False)
        for head in range(2):
            ran = listed.run(NEAR, head)
            listed.quiet()
        assert ran.results[0].rows == (("0", "20"), ("5", "20"))
        listed.call(listed.runner.forget(cellars.OWNER, "n"))
        again = listed.run(NEAR, rerun=True)
        assert (again.done.totals.replayed, again.results[0].rows) == (0, ran.results[0].rows)
        # They are the administrator's, who alone may take them away.
        for text in ("drop extension vector", "create extension pageinspect"):
            error = listed.run([text]).done.error
            assert error is not None
            assert error.sqlstate == "42501"


def test_what_there_is_not_is_said(cellar_home: pathlib.Path) -> None:
    """To whoever runs a cell, by its name, and where it is listed."""
    with cellars.Cellar(cellar_home, extensions=["nothing_like_it"]) as cellar:
        error = cellar.run(["select 1"]).done.error
        assert error is not None
        assert "nothing_like_it" in error.message
        assert "c.ServiceApp.extensions" in (error.hint or "")
