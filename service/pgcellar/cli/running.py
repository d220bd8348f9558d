"""`pgcellar run` and `pgcellar plan`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import sys
import time
from collections.abc import Sequence
from typing import Any

from pgcellar.api import client, gathering, records, remote, rendering
from pgcellar.cli import notebooks, servers

EXIT_OK, EXIT_SQL = 0, 1


async def run_heads(
    service: client.Client | remote.Remote,
    notebook: notebooks.NotebookFile,
    heads: range,
    *,
    max_rows: int,
    rerun: bool,
    reroll: tuple[str, ...] = (),
) -> gathering.NotebookRun:
    """Run cells as heads, one after the other, up to the first that fails without a trace.

    Ctrl-C cancels the one that runs at the server.
    """
    out = gathering.NotebookRun([notebook.cells[head] for head in heads])
    if not heads:
        return out
    begin = time.perf_counter()
    request = records.RunRequest(
        notebook=servers.name_of(notebook.path, service),
        cells=notebook.cells,
        first=heads[0],
        head=heads[-1],
        directory=str(notebook.path.resolve().parent),
        rerun=rerun,
        reroll=reroll,
        parameters=notebook.parameters,
        max_rows=max_rows,
        brief=len(heads) > 1,
    )
    async with contextlib.aclosing(service.run(request)) as events:
        async for event in events:
            if isinstance(event, records.Progress):
                print(_progress(event), file=sys.stderr, flush=True)
            out.take(event)
    out.ms = (time.perf_counter() - begin) * 1000
    return out


def table(run: gathering.NotebookRun, notebook: notebooks.NotebookFile) -> str:
    """The cells with source and milliseconds, for a person."""
    numbers = {cell.id: index + 1 for index, cell in enumerate(notebook.cells)}
    reports = [report for report, _ in run.reports()]
    rows = [
        (
            str(numbers.get(report.id, "")),
            report.id[:24],
            f"{report.effect}, volatile" if report.volatile else report.effect,
            report.source,
            f"{report.ms:.1f}",
            "" if report.rows is None else f"{report.rows}",
            (report.state or "")[:10],
        )
        for report in reports
    ]
    header = ("cell", "id", "effect", "source", "ms", "rows", "state")
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    right = {0, 4, 5}

    def line(row: Sequence[str]) -> str:
        return "  ".join(
            value.rjust(width) if i in right else value.ljust(width)
            for i, (value, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()

    total = f"{run.hits} hit, {run.replayed} replayed, {run.ms:.0f} ms"
    return "\n".join([line(header), *map(line, rows), total])


async def run(arguments: Any) -> int:
    """`pgcellar run`."""
    notebook = notebooks.read(pathlib.Path(arguments.notebook))
    notebook = notebooks.given(notebook, dict(arguments.parameters))
    single = arguments.head is not None
    heads = range(len(notebook.cells))
    if single:
        head = notebook.head(arguments.head)
        heads = range(head, head + 1)
    service = servers.connect(arguments)
    try:
        if isinstance(service, remote.Remote):
            await servers.upload(service, notebook)
        done = await run_heads(
            service,
            notebook,
            heads,
            max_rows=arguments.max_rows,
            rerun=single,
            reroll=_rolled(notebook, arguments),
        )
    finally:
        service.close()
    if arguments.write:
        _write(notebook, heads, done)
    if arguments.json:
        print(json.dumps(done.to_json(), ensure_ascii=False))
    else:
        _print(notebook, done)
    return EXIT_OK if done.error is None else EXIT_SQL


def _rolled(notebook: notebooks.NotebookFile, arguments: Any) -> tuple[str, ...]:
    """The ids of the cells that are rolled again."""
    return tuple(notebook.cells[notebook.head(name)].id for name in arguments.reroll)


def _print(notebook: notebooks.NotebookFile, done: gathering.NotebookRun) -> None:
    sources = {cell.id: cell.source for cell in notebook.cells}
    for cell in done.cells:
        # First what it gave, then why it gave no more.
        for result in cell.results:
            for notice in result.notices:
                print(rendering.render_notice(notice))
            print(rendering.as_text(result), end="\n\n")
        if cell.error is not None:
            where = cell.error.cell or ""
            print(rendering.render_error(cell.error, sources.get(where, "")), file=sys.stderr)
            print(f"in cell {where}", file=sys.stderr)
    print(table(done, notebook))


def _write(notebook: notebooks.NotebookFile, heads: range, done: gathering.NotebookRun) -> None:
    outputs: dict[int, list[dict[str, Any]]] = {}
    for head, cell in zip(heads, done.cells, strict=False):
        made: list[dict[str, Any]] = []
        for result in cell.results:
            if result.notices:
                text = "\n".join(map(rendering.render_notice, result.notices)) + "\n"
                made.append({"output_type": "stream", "name": "stdout", "text": text})
            made.append(
                {
                    "output_type": "display_data",
                    "data": rendering.mime_bundle(result),
                    "metadata": {},
                }
            )
        if cell.error is not None:
            source = next((c.source for c in notebook.cells if c.id == cell.error.cell), "")
            made.append(
                {
                    "output_type": "error",
                    "ename": cell.error.sqlstate,
                    "evalue": cell.error.message,
                    "traceback": rendering.render_error(cell.error, source).splitlines(),
                }
            )
        outputs[head] = made
    notebooks.write_outputs(notebook, outputs)


async def plan(arguments: Any) -> int:
    """`pgcellar plan`."""
    notebook = notebooks.read(pathlib.Path(arguments.notebook))
    notebook = notebooks.given(notebook, dict(arguments.parameters))
    reroll = _rolled(notebook, arguments)
    if not notebook.cells:
        print(
            json.dumps({"steps": [], "first_miss": None, "planning_ms": 0.0})
            if arguments.json
            else "The notebook has no SQL cells."
        )
        return EXIT_OK
    head = len(notebook.cells) - 1 if arguments.head is None else notebook.head(arguments.head)
    service = client.Client()
    try:
        found = await service.plan(
            records.RunRequest(
                notebook=str(notebook.path.resolve()),
                cells=notebook.cells,
                head=head,
                directory=str(notebook.path.resolve().parent),
                rerun=arguments.head is not None,
                reroll=reroll,
                parameters=notebook.parameters,
            )
        )
    finally:
        service.close()
    if arguments.json:
        print(json.dumps(records.to_json(found), ensure_ascii=False))
        return EXIT_OK
    for number, step in enumerate(found.steps, start=1):
        state = (step.state or "?")[:10]
        effect = f"{step.effect}*" if step.volatile else step.effect
        print(
            f"{number:4}  {step.id[:24]:24}  {effect:8}  {step.source:8}  {state:10}  {step.reason}"
        )
    if any(step.volatile for step in found.steps):
        print("* volatile: frozen as first run; --reroll CELL evaluates it anew")
    print(f"first miss: {found.first_miss or 'none'}")
    print(f"planned in {found.planning_ms:.1f} ms")
    return EXIT_OK


def _progress(event: records.Progress) -> str:
    where = f" {event.cell}" if event.cell else ""
    left = f" ({event.left} left)" if event.left else ""
    share = ""
    if event.total and event.done is not None and event.what != "replay":
        share = f" {event.done * 100 // event.total} %"
    return f"{event.message}{share}{where}{left}"


def interruptible(work: Any) -> int:
    """Run a command's coroutine; Ctrl-C ends it in order."""
    try:
        status: int = asyncio.run(work)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    return status
