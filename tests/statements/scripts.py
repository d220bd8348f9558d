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
    choices = [
        f"\\set v {number}",
        f"\\set v {number}",
        "\\unset v",
        "\\if :{?v}\nselect 'there' as v;\n\\else\n\\set v 2\nselect 'not' as v;\n\\endif",
        "\\i more.sql",
        f"{LOADED}\\copy loaded from 'rows.csv' with (format csv)\nselect count(*) from loaded",
        f'{LOADED}copy loaded from stdin with (format csv);\n{number},"x\ny"\n\\.\n',
        f"select {number} as n, 'z' as t \\gset pre_\nselect :pre_n + 1 as n, :'pre_t' as t",
        f"\\echo number {number}",
        "select 1 as x, 2 as y \\g",
        "\\copy (select 1 as x, null as y) to 'out.csv' with (format csv, header)",
        f"create table if not exists log (entry text);\n\\set who 'it''s {number}'\n"
        "insert into log values (:'who')",
        "\\set sch public\nselect count(*) from pg_class where relnamespace = :'sch'::regnamespace"
        " and relname = 'missing'",
    ]
    if author.model.has("v"):
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
    return written


def connect(author: Author) -> str:
    """A new session: what the old one held is gone, but for psql's variables."""
    author.model.rollback()
    author.model.aborted = False
    author.model.held &= {"v"}
    author.model.prepared, author.model.temporary, author.model.role = set(), {}, None
    return "\\c\nshow work_mem; show search_path;"
