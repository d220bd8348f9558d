"""`python -m tests.foreign`: see the package."""

from __future__ import annotations

import argparse
import json
import pathlib
import random
import signal
import sys
import tempfile
from typing import Any

from tests import foreign
from tests import oracle as oracles
from tests.foreign import run, sources, table, ways

from pgcellar.postgres import account, binaries


def main() -> int:
    """Run what is asked for; 1 if anything differs."""
    options = _options()
    # Else servers would stay behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="cellar-", dir=options.home) as folder:
        home = pathlib.Path(folder)
        # Servers run as another account where the tests run as root.
        home.chmod(0o711)
        found = account.readable(binaries.find(), account.current(), home)
        chosen = _sources(options, found.bindir)
        rows = _run(chosen, options, found.bindir, home)
    print(table.summary(rows))
    return 1 if any(row.tally.differences for row in rows) else 0


def _run(
    chosen: list[sources.Source],
    options: argparse.Namespace,
    bindir: pathlib.Path,
    home: pathlib.Path,
) -> list[table.Row]:
    how = run.Options(
        cap=options.cap,
        edits=options.edits,
        seed=options.seed,
        ways=tuple(options.ways.split(",")),
        shrink_seconds=options.shrink,
    )
    rows: list[table.Row] = []
    print(table.header(), flush=True)
    with oracles.Oracle(bindir) as oracle:
        harness = run.Harness(oracle, home, how)
        try:
            for source in chosen:
                rows.append(harness.run(source))
                print(rows[-1].line(), flush=True)
                if options.json:
                    options.json.write_text(json.dumps(table.data(rows), indent=1))
        finally:
            harness.close()
    return rows


def _sources(options: argparse.Namespace, bindir: pathlib.Path) -> list[sources.Source]:
    found: list[sources.Source] = []
    for path in options.regress:
        found += sources.regress(path)
    for path in options.folder:
        found += sources.folder(path)
    if options.extensions:
        found += sources.extensions(sources.sharedir(bindir))
    if options.pgbench:
        found += sources.pgbench(bindir, options.seed)
    names = set(options.only.split(",")) if options.only else None
    found = [s for s in found if names is None or s.name in names]
    if options.shuffle:
        random.Random(options.seed).shuffle(found)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.foreign",
        description=foreign.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    folders: dict[str, Any] = {
        "type": pathlib.Path,
        "action": "append",
        "default": [],
        "metavar": "DIR",
    }
    parser.add_argument("--regress", **folders, help="a suite: DIR/sql/*.sql and DIR/data")
    parser.add_argument("--folder", **folders, help="DIR/*.sql, or one file")
    parser.add_argument("--extensions", action="store_true", help="scripts of extensions")
    parser.add_argument("--pgbench", action="store_true", help="pgbench's scripts")
    parser.add_argument("--only", help="names of files, with commas between")
    parser.add_argument("--cap", type=int, default=40, help="cells of a file (40)")
    parser.add_argument("--edits", type=int, default=8, help="edits of a file (8)")
    parser.add_argument("--ways", default=",".join(ways.WAYS), help="of top,order,edits")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shuffle", action="store_true", help="files in random order")
    parser.add_argument("--shrink", type=float, default=0.0, help="seconds for a difference (0)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="the table as data")
    parser.add_argument("--home", type=pathlib.Path, help="where servers keep their data")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
