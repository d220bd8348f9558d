"""The command line, run as a person or a program runs it."""

from __future__ import annotations

import json
import pathlib
import signal
import time

import nbformat
import pytest
from tests import following
from tests.fixtures_service import CommandLine

QUICKSTART = pathlib.Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"
CELLS = [
    "create table t (a integer primary key, b text);\ninsert into t values (1, 'x'), (2, null)",
    "select a, b from t order by a",
    "do $$ begin raise notice 'hello'; end $$",
    "update t set b = 'y' where a = 1 returning b",
    "select count(*) from t",
]


def test_run_prints_one_object(cli: CommandLine) -> None:
    """The shape that programs rely on."""
    done = cli.run(CELLS)
    assert [cell["id"] for cell in done["cells"]] == ["c1", "c2", "c3", "c4", "c5"]
    first, second, third, fourth, _ = done["cells"]
    assert {"id", "state", "effect", "source", "ms", "error", "results"} <= set(first)
    assert [result["command"] for result in first["results"]] == ["CREATE TABLE", "INSERT 0 2"]
    assert [cell["effect"] for cell in done["cells"]] == ["write", "read", "write", "write", "read"]
    (rows,) = second["results"]
    assert rows["columns"] == [{"name": "a", "type": "integer"}, {"name": "b", "type": "text"}]
    assert rows["rows"] == [["1", "x"], ["2", None]]
    assert rows["row_count"] == 2
    assert third["results"][0]["notices"][0]["message"] == "hello"
    assert fourth["results"][0]["rows"] == [["y"]]
    assert second["state"] == first["state"] != fourth["state"]
    assert {"hits", "replayed", "ms", "planning_ms"} <= set(done["totals"])
    assert done["sandbox"]["server_version"]


def test_plans_and_charts_are_in_the_report(cli: CommandLine) -> None:
    """As text for a person, analysed and specified for a program."""
    cells = [CELLS[0], "select a from t \\explain analyze", "select b, a from t \\chart bar"]
    _, plan, chart = cli.run(cells)["cells"]
    assert plan["results"][0]["plan"]["plan"]["root"]["relation"] == "t"
    assert chart["results"][0]["chart"]["mark"] == {"type": "bar"}
    shown = cli("run", str(cli.notebook(cells))).stdout
    assert "Seq Scan on t" in shown
    assert " x | 1" in shown


def test_second_run_hits_and_an_edit_reruns_what_depends(cli: CommandLine) -> None:
    """All are hits; the edited cell and what its state reaches run again."""
    cells = ["create table u (a int)", "insert into u values (1)", "select 1", "delete from u"]
    cli.run(cells)
    assert [cell["source"] for cell in cli.run(cells)["cells"]] == ["hit", "hit", "hit", "hit"]
    cells[1] = "insert into u values (2)"
    assert [cell["source"] for cell in cli.run(cells)["cells"]] == ["hit", "head", "head", "head"]


def test_head_by_id_and_by_number(cli: CommandLine) -> None:
    """`--head` runs one cell, whatever it remembers, and reports on all above."""
    for head in ("c4", "4"):
        done = cli.run(CELLS, "--head", head)
        assert [cell["id"] for cell in done["cells"]] == ["c1", "c2", "c3", "c4"]
        assert done["cells"][-1]["source"] == "head"
        assert {cell["source"] for cell in done["cells"][:-1]} <= {"hit", "replayed", "skipped"}
        assert done["cells"][-1]["results"][0]["rows"] == [["y"]]


def test_editing_below_a_load_does_not_replay_it(cli: CommandLine) -> None:
    """The cell that takes seconds runs once."""
    cells = [
        "create table big as select g, md5(g::text) from generate_series(1, 400000) g",
        "create table small (a int)",
        "insert into small select generate_series(1, 9)",
        "select count(*) from big",
        "update small set a = a + 1",
    ]
    first = cli.run(cells)
    cells[4] = "update small set a = a + 2"
    again = cli.run(cells, "--head", "5")
    assert again["cells"][0]["source"] == "hit"
    assert again["totals"]["ms"] < first["totals"]["ms"]
    assert again["cells"][4]["results"][0]["command"] == "UPDATE 9"


def test_max_rows_bounds_rows_and_not_the_count(cli: CommandLine) -> None:
    """`row_count` is what PostgreSQL counted."""
    result = cli.run(["select g from generate_series(1, 500) g"], "--max-rows", "3")["cells"][0][
        "results"
    ][0]
    assert (len(result["rows"]), result["row_count"], result["truncated"]) == (3, 500, True)


def test_pages_of_a_long_result(cli: CommandLine) -> None:
    """By offset, of any length, and with a reason where there are none."""
    cells = [
        "create table long as select generate_series(1, 25000) as a",
        "select 1; select a, null as b from long order by a",
        "select now()",
    ]
    path = str(cli.notebook(cells, "pages"))
    page = cli.json("page", path, "--head", "2", "--statement", "2", "--offset", "24990")
    assert page["rows"] == [[str(i), None] for i in range(24991, 25001)]
    assert page["columns"] == [{"name": "a", "type": "integer"}, {"name": "b", "type": "text"}]
    assert (page["offset"], page["row_count"], page["kept"]) == (24990, 25000, 25000)
    assert page["complete"]
    more = ("--statement", "2", "--rows", "20001", "--offset", "7")
    page = cli.json("page", path, "--head", "c2", *more)
    assert [row[0] for row in page["rows"]] == [str(i) for i in range(8, 20009)]
    shown = cli("page", path, "--head", "2", "--statement", "2", "--rows", "2", "--offset", "5")
    expected = " a | b \n---+---\n 6 | \n 7 | \n(rows 6 to 7 of 25000)\n"
    assert (shown.stdout, shown.stderr, shown.returncode) == (expected, "", 0)
    shown = cli("page", path, "--head", "2", "--statement", "2", "--offset", "25000")
    assert shown.stdout == " a | b \n---+---\n(no rows from 25000 on, of 25000)\n"
    refused = cli("page", path, "--head", "3")
    assert (refused.stdout, refused.returncode) == ("", 2)
    assert "CREATE TABLE" in refused.stderr
    for wrong in (["--head", "2", "--statement", "3"], ["--head", "9"]):
        assert cli("page", path, *wrong).returncode == 2
        assert cli.json("page", path, *wrong)["error"]["sqlstate"].startswith("PC")
    for wrong in (["--head", "2", "--offset", "-1"], ["--head", "2", "--statement", "0"], []):
        assert cli("page", path, *wrong).returncode == 2


def test_a_page_that_nobody_waits_for_is_given_up(cli: CommandLine) -> None:
    """Ctrl-C, and a second later the cell does not run any more."""
    slow = "select sum(a # b) from generate_series(1, 10000000) a, generate_series(1, 1000) b"
    asking = cli.popen("page", str(cli.notebook([slow], "slow")), "--head", "1")

    def until_active(number: int) -> None:
        while cli.json("service", "status")["active_runs"] != number:
            time.sleep(0.1)

    # The request, and the run for it.
    until_active(2)
    asking.send_signal(signal.SIGINT)
    out, told = asking.communicate(timeout=30)
    assert (asking.returncode, out) == (130, "")
    assert told == "Interrupted.\n"
    until_active(0)


def test_write_puts_outputs_into_the_notebook(cli: CommandLine) -> None:
    """And leaves a valid notebook."""
    path = cli.notebook([*CELLS, "select 1/0"], name="written")
    assert cli("run", str(path), "--write").returncode == 1
    written = nbformat.read(path, as_version=4)
    nbformat.validate(written)
    assert written.cells[1].outputs[0]["output_type"] == "display_data"
    assert written.cells[2].outputs[0]["text"] == "NOTICE:  hello\n"
    assert written.cells[5].outputs[0]["ename"] == "22012"


def test_exit_status_tells_sql_errors_from_bad_usage(cli: CommandLine) -> None:
    """0, 1 and 2."""
    assert cli("run", str(cli.notebook(["select 1"]))).returncode == 0
    failed = cli("run", str(cli.notebook(["select 1", "selec 1"])))
    assert failed.returncode == 1
    assert "ERROR:  42601: syntax error" in failed.stderr
    assert cli("run", "nowhere.ipynb").returncode == 2
    assert cli("run", str(cli.notebook(["select 1"])), "--head", "7").returncode == 2
    assert cli("frobnicate").returncode == 2


def test_error_object_names_cell_and_position(cli: CommandLine) -> None:
    """Positions count in the cell's source, from 1."""
    done = cli.run(["create table e (a int)", "select 1;\nselect nope from e"])
    error = done["cells"][1]["error"]
    assert (error["sqlstate"], error["cell"], error["position"]) == ("42703", "c2", 18)


def test_failing_tail_cell_is_named_and_the_head_does_not_run(cli: CommandLine) -> None:
    """The error is the tail cell's."""
    done = cli.run(
        ["create table f (a int)", "insert into nope values (1)", "select 1"], "--head", "3"
    )
    assert done["error"]["cell"] == "c2"
    assert done["cells"][2]["results"] == []
    assert done["cells"][2]["source"] == "skipped"


def test_plan_foresees_the_run_and_names_what_changed(cli: CommandLine) -> None:
    """Same states, same sources; the reason for the first miss."""
    cells = ["create table p (a int)", "insert into p values (1)", "select 1", "select * from p"]
    cli.run(cells)
    cells[1] = "insert into p values (2)"
    path = cli.notebook(cells)
    plan = cli.json("plan", str(path), "--head", "4")
    assert plan["first_miss"].startswith("cell 2 (c2) changed")
    ran = cli.json("run", str(path), "--head", "4")
    assert [step["source"] for step in plan["steps"]] == [cell["source"] for cell in ran["cells"]]
    for step, cell in zip(plan["steps"], ran["cells"], strict=True):
        assert step["state"] in (None, cell["state"])


def test_plan_takes_the_options_of_the_run(cli: CommandLine) -> None:
    """Parameters and rolls: same states, same sources, and what is volatile is marked."""
    cells = [
        "\\set n 1",
        "create table o1 as select random() as a, :n as n",
        "create table o2 (a double precision default random())",
        "insert into o2 default values",
        "select o1.a, n, o2.a from o1, o2",
    ]
    path = cli.notebook(cells)
    content = json.loads(path.read_text())
    content["cells"][0]["metadata"]["tags"] = ["parameters"]
    path.write_text(json.dumps(content))
    cli.json("run", str(path))
    volatile = [False, True, True, True, False]
    for options, sources in (
        (("-P", "n=2"), ["skipped", "replayed", "replayed", "replayed", "head"]),
        (("-P", "n=2"), ["skipped", "hit", "hit", "hit", "head"]),
        (("-P", "n=2", "--reroll", "c3"), ["skipped", "hit", "replayed", "replayed", "head"]),
        ((), ["skipped", "hit", "hit", "hit", "head"]),
    ):
        plan = cli.json("plan", str(path), "--head", "5", *options)["steps"]
        ran = cli.json("run", str(path), "--head", "5", *options)["cells"]
        assert [step["source"] for step in plan] == sources
        assert [cell["source"] for cell in ran] == sources
        assert [step["volatile"] for step in plan] == volatile
        assert [cell["volatile"] for cell in ran] == volatile
        known = sources.index("replayed") if "replayed" in sources else 5
        assert [step["state"] for step in plan[:known]] == [cell["state"] for cell in ran[:known]]
        assert [step["state"] for step in plan[known:]] == [None] * (5 - known)
    (again,) = cli.json("plan", str(path), "--head", "2")["steps"][1:]
    assert (again["source"], again["state"]) == ("head", None)
    shown = cli("plan", str(path), "--reroll", "2").stdout
    assert [line.split()[2] for line in shown.splitlines()[:5]] == [
        "none", "write*", "write*", "write*", "read",
    ]  # fmt: skip
    assert "* volatile" in shown
    assert cli("plan", str(path), "--reroll", "9").returncode == 2


def test_plan_shows_the_graph_without_a_service(cli: CommandLine) -> None:
    """As text, Mermaid and JSON."""
    cli("service", "stop")
    path = str(cli.notebook(CELLS))
    assert "[4] c4: writes t (b)" in cli("plan", path, "--graph").stdout
    drawn = cli("plan", path, "--graph", "mermaid").stdout
    assert drawn.startswith("flowchart TD\n")
    assert 'c1 -->|"t"| c2\n' in drawn
    graph = cli.json("plan", path, "--graph")["graph"]
    assert [cell["id"] for cell in graph["cells"]] == ["c1", "c2", "c3", "c4", "c5"]
    assert graph["cells"][0]["affects"] == ["c2", "c4", "c5"]
    assert {"from": "c4", "to": "c5", "through": ["t"]} in graph["edges"]
    upto = cli.json("plan", path, "--graph", "--head", "2")["graph"]
    assert [cell["id"] for cell in upto["cells"]] == ["c1", "c2"]
    empty = str(cli.notebook([], "empty"))
    assert cli("plan", empty, "--graph").stdout == "The notebook has no SQL cells.\n"
    cli.notebook(["create table t (a int); create view v as select a from t"], "base")
    cells = ["\\base base.ipynb", "insert into t values (1)", "select * from v"]
    graph = cli.json("plan", str(cli.notebook(cells, "on_base")), "--graph")["graph"]
    assert graph["edges"] == [{"from": "c2", "to": "c3", "through": ["t"]}]
    assert graph["cells"][2]["columns_read"] == ["v.a"]
    assert cli("plan", path, "--graph", "picture").returncode == 2
    assert cli.json("service", "status")["status"] == "not running"


def test_the_other_commands_answer(cli: CommandLine) -> None:
    """For people and for programs."""
    cli.run(CELLS)
    assert cli.json("states")["states"][0]["cell"] == "(base)"
    assert "copy_on_write" in cli.json("gc")
    findings = {found["what"]: found for found in cli.json("doctor")["findings"]}
    assert findings["postgresql"]["ok"] is True
    assert cli.json("token")["mode"] == "embedded"
    status = cli.json("service", "status")
    assert status["status"] == "running"
    assert cli("service", "stop").returncode == 0
    assert cli.json("service", "status")["status"] == "not running"
    assert cli("service", "start").returncode == 0
    for command in ("states", "gc", "doctor", "token"):
        assert cli(command).stdout


def test_states_survive_a_restart_of_the_service(cli: CommandLine) -> None:
    """What was kept is a hit, not a replay, for the next service."""
    cells = ["create table k as select generate_series(1, 1000000) g", "select count(*) from k"]
    cli.run(cells)
    cli("service", "stop")
    again = cli.run(cells, "--head", "2")
    assert [cell["source"] for cell in again["cells"]] == ["hit", "head"]


def test_kernelspec_installs(cli: CommandLine, tmp_path: pathlib.Path) -> None:
    """For this Python."""
    done = cli("kernelspec", "install", "--prefix", str(tmp_path))
    assert done.returncode == 0, done.stderr
    spec = json.loads((tmp_path / "share/jupyter/kernels/pgcellar/kernel.json").read_text())
    assert spec["display_name"] == "SQL (PostgreSQL)"
    assert spec["interrupt_mode"] == "message"


def test_demo_compares_three_runs(cli: CommandLine) -> None:
    """On any notebook."""
    path = cli.notebook(["create table d (a int)", "insert into d values (1)", "select * from d"])
    rounds = cli.json("demo", str(path))["rounds"]
    sources = [[cell["source"] for cell in made["cells"]] for made in rounds]
    assert sources[1] == ["hit", "hit", "hit"]
    assert sources[2] == ["hit", "head", "head"]


@pytest.mark.skipif(not (QUICKSTART.parent / "data/flights.csv").exists(), reason="no flights here")
def test_demo_of_the_quickstart(cli: CommandLine) -> None:
    """The second run runs nothing again, the third what was edited and what stands on it."""
    first, second, third = cli.json("demo", str(QUICKSTART))["rounds"]
    assert len(first["cells"]) >= 10
    assert all(cell["error"] is None for made in (first, second, third) for cell in made["cells"])
    for before, now in zip(first["cells"], second["cells"], strict=True):
        # What EXPLAIN shows is not kept.
        assert now["source"] == "hit" or (now["source"], now["effect"]) == ("head", "read")
        assert now["state"] == before["state"]
        assert [one["rows"] for one in now["results"]] == [one["rows"] for one in before["results"]]
    edited = int(third["title"].removeprefix("third run, cell ").split()[0]) - 1
    assert 0 < edited < len(third["cells"]) - 1
    # What stands on another state than before has run; what doesn't has not.
    moved = [
        now["state"] != then["state"]
        for now, then in zip(third["cells"], second["cells"], strict=True)
    ]
    assert moved == [index >= edited for index in range(len(moved))]
    sources = [cell["source"] for cell in third["cells"]]
    assert sources == ["head" if ran else "hit" for ran in moved]
    assert [made["totals"]["replayed"] for made in (second, third)] == [0, 0]


def test_cells_that_take_no_part(cli: CommandLine, oracle: following.Oracle) -> None:
    """Tagged `skip`, raw and Markdown cells: it is as in psql without them."""
    cells = [
        "create table t (a int); insert into t values (1)",
        "drop table t",
        "delete from t",
        "insert into t values (100); selct",
        "insert into t values (2) returning a",
        "select a from t order by a",
    ]
    path = cli.notebook(cells)
    content = json.loads(path.read_text())
    content["cells"][1]["metadata"]["tags"] = ["skip"]
    for number, kind in ((2, "raw"), (3, "markdown")):
        other = content["cells"][number]
        content["cells"][number] = {
            "cell_type": kind, "id": other["id"], "metadata": {}, "source": other["source"]
        }  # fmt: skip
    path.write_text(json.dumps(content))
    left = [cells[0], *cells[4:]]
    expected = oracle.evaluate(left)
    assert all(outcome.ok for outcome in expected.cells)
    for _ in range(2):
        done = cli.json("run", str(path))
        assert [cell["id"] for cell in done["cells"]] == ["c1", "c5", "c6"]
        for cell, outcome in zip(done["cells"], expected.cells, strict=True):
            shown = [[tuple(row) for row in one["rows"]] for one in cell["results"]]
            assert shown == [list(one.rows) for one in outcome.results]
    assert cli("run", str(path), "--head", "c2").returncode == 2


def test_reroll(cli: CommandLine) -> None:
    """What is volatile stays as it is but for the cells that are named, by id or number, once."""
    cells = [
        "create table r1 as select random() as a",
        "create table r2 as select random() as a",
        "select r1.a, r2.a from r1, r2",
        "create table r3 as select random() as a from generate_series(1, 3)",
        "select sum(a) from r3",
    ]

    def shown(*arguments: str) -> tuple[str, str, str]:
        done = cli.run(cells, *arguments)
        assert done["error"] is None
        (pair,), (third,) = (done["cells"][index]["results"][0]["rows"] for index in (2, 4))
        return (*pair, *third)

    first = shown()
    assert shown() == first
    second = shown("--reroll", "4")
    assert second[:2] == first[:2]
    assert second[2] != first[2]
    assert shown() == second
    # What is volatile below it is another one, too, since it runs on another state.
    third = shown("--reroll", "c2")
    assert third[0] == first[0]
    assert third[1] != first[1]
    assert shown() == third
    both = shown("--reroll", "c1", "--reroll", "4")
    assert all(new != old for new, old in zip(both, third, strict=True))
    path = str(cli.notebook(cells))
    (head,) = cli.json("run", path, "--head", "3", "--reroll", "2")["cells"][2:]
    assert head["results"][0]["rows"][0][0] == both[0]
    assert head["results"][0]["rows"][0][1] != both[1]
    for name in ("c9", "9", "0", ""):
        wrong = cli("run", path, "--reroll", name)
        assert wrong.returncode == 2
        assert wrong.stdout == ""
        assert f"there is no SQL cell {name!r}" in wrong.stderr
        assert "by its number from 1 to 5" in wrong.stderr
    # A cell with nothing volatile in it is as it was.
    assert cli("run", path, "--reroll", "5").returncode == 0


def test_parameters(cli: CommandLine) -> None:
    """Below the cell that is tagged so, whatever is in them."""
    cells = ["\\set month 1\n\\set name x", "select :month as m, :'name' as n", "select 9"]
    path = cli.notebook(cells)
    content = json.loads(path.read_text())
    content["cells"][0]["metadata"]["tags"] = ["parameters"]
    content["cells"][2]["metadata"]["tags"] = ["skip"]
    path.write_text(json.dumps(content))
    hostile = "it's \\ \n'; drop table t; --"
    done = cli.json("run", str(path), "-P", "month=7", "-P", f"name={hostile}")
    assert [cell["results"][0]["rows"] for cell in done["cells"][1:]] == [[["7", hostile]]]
    assert cli.json("run", str(path))["cells"][1]["results"][0]["rows"] == [["1", "x"]]
    assert cli("run", str(path), "-P", "nothing").returncode == 2
