"""Whole cells with meta-commands in them."""

from __future__ import annotations

import pathlib

from tests.statements.author import Author

LOADED = "create table if not exists loaded (id integer, s text);\n"
#: Files that lie beside every generated notebook.
FILES = {
    "rows.csv": '9001,one\n9002,\n9003,"a,b"\n',
    "more.sql": "create table if not exists loaded (id integer, s text);\n"
    "insert into loaded values (1, 'more');\nselect count(*) as included from loaded;\n",
}


def write_files(folder: pathlib.Path) -> None:
    """Put the files into a folder."""
    for name, content in FILES.items():
        (folder / name).write_text(content)


def script(author: Author) -> str:
    """A whole cell with meta-commands in it."""
    number = author.number(1, 9)
    truth = author.pick(("on", "off", "yes", "no", "1", "0", "tr"))
    choices = [
        f"\\set v {number}",
        f"\\set v {number}",
        "\\unset v",
        "\\if :{?v}\nselect 'there' as v;\n\\else\n\\set v 2\nselect 'not' as v;\n\\endif",
        f"\\set cond {truth}\n{_branches(author)}",
        f"select {number} > 5 as many, {number} < 3 as few \\gset\n"
        + _branches(author, "many", "few"),
        "\\i more.sql",
        f"{LOADED}\\copy loaded from 'rows.csv' with (format csv)\nselect count(*) from loaded",
        f'{LOADED}copy loaded from stdin with (format csv);\n{number},"x\ny"\n\\.\n',
        f"select {number} as n, 'z' as t \\gset pre_\nselect :pre_n + 1 as n, :'pre_t' as t",
        f"\\echo number {number}",
        "select 1 as x, 2 as y \\g",
        "\\copy (select 1 as x, null as y) to 'out.csv' with (format csv, header)",
        f"{LOADED}\\copy (insert into loaded values ({number}, 'kept') returning id) to 'out.csv'\n"
        "select count(*) from loaded",
        f"create table if not exists log (entry text);\n\\set who 'it''s {number}'\n"
        "insert into log values (:'who')",
        "\\set sch public\nselect count(*) from pg_class where relnamespace = :'sch'::regnamespace"
        " and relname = 'missing'",
    ]
    if author.model.has("cond"):
        # What another cell has set.
        choices += [_branches(author), "\\if :cond\n\\i more.sql\n\\endif\nselect :'cond' as cond"]
    if author.model.has("pre_n"):
        choices += [
            "select :pre_n * 10 as n, :'pre_t' as t, :{?pre_none} as none",
            f"{LOADED}insert into loaded values (:pre_n, :'pre_t') returning id, s",
            "\\unset pre_t\nselect :'pre_t'",
        ]
    if author.model.has("v"):
        choices += [
            f"{LOADED}insert into loaded (s) values (:'v')",
            "\\set w :v :v\nselect :'w' as w",
        ]
        choices.append("select :v + 1 as w, :'v' as t, ':v' as s")
        choices.append("select :v * 2 as v \\gset")
    if author.model.tables:
        table, key = author.table(), author.fresh() * 10
        choices += [
            f"select count(*) as v from {table} \\gset",
            f"select :'v' as v, ':v' as w from {table} limit 0;" if author.model.has("v") else ";",
            f"copy {table} (id, n) from stdin;\n{key}\t{number}\n{key + 1}\t\\N\n\\.\nselect 1",
            f"\\set v 3\nupdate {table} set n = :v where id = :v",
            f"copy (select count(*) as rows, max(n) as most from {table}) to stdout"
            " with (format csv, header)",
        ]
    if author.number(0, 9) == 0:
        return connect(author)
    written = author.pick(choices)
    if "\\set v " in written or " as v \\gset" in written:
        author.model.held.add("v")
    elif written == "\\unset v":
        author.model.held.discard("v")
    if "\\set cond" in written:
        author.model.held.add("cond")
    if "\\gset pre_" in written:
        author.model.held.add("pre_n")
    return written


def _branches(author: Author, first: str = "cond", second: str = "unknown") -> str:
    """Branches, some of them within others; only those that are taken run."""
    number = author.number(1, 9)
    written = (
        f"{LOADED}insert into loaded values ({number}, 'then');",
        f"select {number} as taken;",
        f"\\set v {number}",
        f"\\echo {number}",
        "\\if true\nselect 'inner' as branch;\n\\else\nselect 1 / 0;\n\\endif",
    )
    then, otherwise = author.pick(written), author.pick(written)
    middle = f"\\elif :{second}\nselect 'second' as branch;\n" if second != "unknown" else ""
    return f"\\if :{first}\n{then}\n{middle}\\else\n{otherwise}\n\\endif"


def connect(author: Author) -> str:
    """A new session: what the old one held is gone, but for psql's variables."""
    author.model.rollback()
    author.model.aborted = False
    author.model.held &= {"v", "cond", "pre_n"}
    author.model.prepared, author.model.temporary, author.model.role = set(), {}, None
    return "\\c\nshow work_mem; show search_path;"
