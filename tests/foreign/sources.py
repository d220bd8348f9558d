"""Where foreign SQL comes from: folders, PostgreSQL's own share folder, and pgbench."""

from __future__ import annotations

import dataclasses
import pathlib
import random
import re
import subprocess

from tests.foreign import cutting, setup


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """One file's SQL; `data` is the folder of the files it loads, `before` what to run first."""

    name: str
    text: str
    data: pathlib.Path | None = None
    before: tuple[str, ...] = ()


def regress(folder: pathlib.Path) -> list[Source]:
    """A regression suite: `sql/*.sql`, `data/*`, and what of `sql/test_setup.sql` each needs."""
    data = folder / "data"
    common = folder / "sql" / "test_setup.sql"
    prepared = setup.Setup(_read(common)) if common.exists() else None
    return [
        Source(
            name=path.stem,
            text=text,
            data=data if data.is_dir() else None,
            before=prepared.needed(text) if prepared and path != common else (),
        )
        for path in sorted((folder / "sql").glob("*.sql"))
        for text in [_read(path)]
    ]


def folder(path: pathlib.Path) -> list[Source]:
    """Every `*.sql` of a folder, or one file."""
    files = [path] if path.is_file() else sorted(path.glob("*.sql"))
    return [Source(name=file.stem, text=_read(file)) for file in files]


# --- extensions ------------------------------------------------------------------------------

#: An extension's script refuses to be run by hand; here that is what is wanted.
_GUARD = re.compile(r"^\\echo .*\\quit\s*$", re.MULTILINE)
#: Catalog views that initdb makes in schemas that exist already.
_INITIAL = ("information_schema.sql",)


def extensions(sharedir: pathlib.Path) -> list[Source]:
    """Scripts of extensions, whose C functions fail; `information_schema.sql` by another name."""
    found = []
    for path in sorted((sharedir / "extension").glob("*--*.sql")):
        if path.stem.count("--") > 1:
            # An upgrade of what is not there.
            continue
        text = _GUARD.sub("", _read(path)).replace("@extschema@", "public")
        found.append(Source(name=path.stem, text=text))
    for name in _INITIAL:
        text = re.sub(r"\binformation_schema\b", "info_schema", _read(sharedir / name))
        found.append(Source(name=pathlib.Path(name).stem, text=text))
    return found


# --- pgbench ---------------------------------------------------------------------------------

_SCRIPTS = ("tpcb-like", "simple-update", "select-only")
_SET = re.compile(r"\\set (\w+) random\((-?\d+), (\d+)(?: \* :scale)?\)")
#: What `pgbench --initialize` makes, by its documentation, at a hundredth of its size.
_ACCOUNTS = 1_000
_INITIALIZE = f"""
create table pgbench_history(tid int, bid int, aid int, delta int, mtime timestamp,
  filler char(22));
create table pgbench_tellers(tid int not null, bid int, tbalance int, filler char(84))
  with (fillfactor=100);
create table pgbench_accounts(aid int not null, bid int, abalance int, filler char(84))
  with (fillfactor=100);
create table pgbench_branches(bid int not null, bbalance int, filler char(88))
  with (fillfactor=100);
insert into pgbench_branches(bid, bbalance) values (1, 0);
insert into pgbench_tellers(tid, bid, tbalance) select i, 1, 0 from generate_series(1, 10) i;
insert into pgbench_accounts(aid, bid, abalance, filler)
  select i, 1, 0, '' from generate_series(1, {_ACCOUNTS}) i;
vacuum analyze pgbench_accounts;
alter table pgbench_branches add primary key (bid);
alter table pgbench_tellers add primary key (tid);
alter table pgbench_accounts add primary key (aid);
"""
_ROUNDS = 4


def pgbench(bindir: pathlib.Path, seed: int) -> list[Source]:
    """pgbench's built-in scripts, a few transactions each, their variables drawn by the seed."""
    program = bindir / "pgbench"
    if not program.exists():
        return []
    drawn = random.Random(f"{seed} pgbench")
    found = []
    for name in _SCRIPTS:
        shown = subprocess.run(
            [program, f"--show-script={name}"], capture_output=True, text=True, check=True
        )
        script = shown.stdout + shown.stderr
        rounds = [_transaction(script, drawn) for _ in range(_ROUNDS)]
        found.append(Source(name=f"pgbench {name}", text=_INITIALIZE + "".join(rounds)))
    return found


def _transaction(script: str, drawn: random.Random) -> str:
    values = {}
    for name, low, high in _SET.findall(script):
        values[name] = str(drawn.randint(int(low), min(int(high), _ACCOUNTS)))
    lines = [line for line in script.splitlines() if not line.startswith(("\\", "--"))]
    text = "\n".join(lines) + "\n"
    return re.sub(r":(\w+)", lambda match: values[match[1]], text)


def _read(path: pathlib.Path) -> str:
    # Some files hold bytes of other encodings, in statements that are about them.
    return path.read_bytes().decode("utf-8", "replace").replace("\0", "")


def pieces(source: Source) -> list[cutting.Piece]:
    """A source's pieces, those before it first."""
    before = [cutting.Piece(kind="sql", text=text) for text in source.before]
    return [*before, *cutting.cut(source.text)]


def sharedir(bindir: pathlib.Path) -> pathlib.Path:
    """Where an installation keeps its scripts."""
    told = subprocess.run(
        [bindir / "pg_config", "--sharedir"], capture_output=True, text=True, check=True
    )
    return pathlib.Path(told.stdout.strip())
