"""`pgcellar demo`: the quickstart twice, then once more with one cell in the middle edited."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
from typing import Any

from pgcellar.api import client, errors, records, rendering
from pgcellar.cli import notebooks, running

QUICKSTART = pathlib.Path("notebooks/quickstart.ipynb")


async def demo(arguments: Any) -> int:
    """Run the demo; 1 if a cell fails."""
    path = pathlib.Path(arguments.notebook or QUICKSTART)
    if not path.exists():
        raise errors.NotebookInvalid(
            f"{path} is not here.",
            hint="Run the demo in a checkout of pgcellar, or name a notebook.",
        )
    notebook = notebooks.read(path)
    edited, what = edit(notebook)
    rounds = [
        ("first run", notebook),
        ("second run, nothing changed", notebook),
        (f"third run, {what}", edited),
    ]
    service = client.Client()
    made: list[dict[str, Any]] = []
    try:
        for title, now in rounds:
            done = await running.run_heads(
                service, now, range(len(now.cells)), max_rows=20, rerun=False
            )
            made.append({"title": title, **done.to_json()})
            if not arguments.json:
                print(f"\n{title}\n{'=' * len(title)}")
                print(running.table(done, now), flush=True)
            if done.error is not None:
                source = next((c.source for c in now.cells if c.id == done.error.cell), "")
                print(rendering.render_error(done.error, source), file=sys.stderr)
                break
    finally:
        service.close()
    if arguments.json:
        print(json.dumps({"rounds": made}, ensure_ascii=False))
    return running.EXIT_OK if done.error is None else running.EXIT_SQL


def edit(notebook: notebooks.NotebookFile) -> tuple[notebooks.NotebookFile, str]:
    """The notebook with one cell in the middle changed, and a word on what changed.

    A cell says itself what may change in it: `metadata.pgcellar.demo_edit = [from, to]`. Where
    none does, a statement that does nothing but count as a write is put into the middle cell.
    """
    changed = list(notebook.cells)
    for index, position in enumerate(notebook.positions):
        ours = notebook.content["cells"][position].get("metadata", {}).get("pgcellar", {})
        if "demo_edit" in ours:
            before, after = ours["demo_edit"]
            cell = changed[index]
            changed[index] = records.Cell(id=cell.id, source=cell.source.replace(before, after))
            what = f"cell {index + 1} edited: {before} → {after}"
            return dataclasses.replace(notebook, cells=tuple(changed)), what
    middle = len(changed) // 2
    if changed:
        cell = changed[middle]
        changed[middle] = records.Cell(id=cell.id, source=f"do $$ begin end $$;\n{cell.source}")
    return dataclasses.replace(notebook, cells=tuple(changed)), f"cell {middle + 1} edited"
