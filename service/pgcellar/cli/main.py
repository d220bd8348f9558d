"""The `pgcellar` command: arguments in, exit status out."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from pgcellar.api import client, errors, launcher, paths, records
from pgcellar.cli import admin


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status: 0, 1 on a SQL error, 2 on bad usage or input."""
    parsed = parser().parse_args(arguments)
    try:
        status: int = parsed.run(parsed)
    except errors.PgcellarError as exc:
        if getattr(parsed, "json", False):
            print(json.dumps({"cells": [], "error": records.to_json(exc.record())}))
        print(f"pgcellar: {exc.message}", file=sys.stderr)
        if exc.hint:
            print(exc.hint, file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read our output has had enough.
        sys.stderr.close()
        return 0
    return status


def parser() -> argparse.ArgumentParser:
    """The command line as `--help` shows it."""
    top = argparse.ArgumentParser(
        prog="pgcellar", description="SQL notebooks without hidden state, on PostgreSQL."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run a notebook, or one cell of it")
    run.add_argument("notebook")
    run.add_argument("--head", metavar="ID|N", help="run only this cell, as if all above had run")
    _take_parameters(run)
    _take_rerolls(run)
    run.add_argument("--json", action="store_true", help="print one JSON object")
    run.add_argument("--max-rows", type=_count, default=100, metavar="N", help="rows per result")
    run.add_argument(
        "--server", metavar="URL", help="on the server at this URL; its token in PGCELLAR_TOKEN"
    )
    run.add_argument("--write", action="store_true", help="write the outputs into the notebook")
    run.set_defaults(run=_run)

    plan = commands.add_parser("plan", help="say what a run would do, and why")
    plan.add_argument("notebook")
    plan.add_argument("--head", metavar="ID|N", help="the cell to run; the last by default")
    _take_parameters(plan)
    _take_rerolls(plan)
    plan.add_argument(
        "--graph",
        nargs="?",
        const="text",
        choices=("text", "mermaid"),
        help="print what each cell reads and writes, and which cells depend on which",
    )
    plan.add_argument("--json", action="store_true", help="print one JSON object")
    plan.set_defaults(run=_plan)

    page = commands.add_parser("page", help="show some rows of a long result")
    page.add_argument("notebook")
    page.add_argument("--head", metavar="ID|N", required=True, help="the cell that gives it")
    page.add_argument(
        "--statement", type=_place, default=1, metavar="N", help="of its statements; the first"
    )
    page.add_argument("--offset", type=_count, default=0, metavar="N", help="rows to leave out")
    page.add_argument("--rows", type=_count, default=100, metavar="N", help="rows to show")
    _take_parameters(page)
    page.add_argument("--json", action="store_true", help="print one JSON object")
    page.set_defaults(run=_page)

    demo = commands.add_parser("demo", help="run the quickstart notebook three times and compare")
    demo.add_argument("--json", action="store_true", help="print one JSON object")
    demo.add_argument("notebook", nargs="?", help="another notebook than the quickstart")
    demo.set_defaults(run=_demo)

    for name, text, work in (
        ("states", "list the states that are kept", _states),
        ("gc", "reconcile and evict states down to the limits", _gc),
        ("doctor", "what this machine offers, and what is missing", _doctor),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--json", action="store_true", help="print one JSON object")
        command.set_defaults(run=work)

    _add_token(commands.add_parser("token", help="your personal access tokens and sessions"))
    _add_audit(commands.add_parser("audit", help="the audit log"))

    administering = commands.add_parser(
        "admin", help="people, classes, quotas, tokens, audit, keys"
    )
    admin.add(administering, _admin, _add_audit)

    service = commands.add_parser("service", help="the background process")
    service.add_argument("what", choices=("start", "status", "stop", "run"))
    service.add_argument("--json", action="store_true", help="print one JSON object")
    service.set_defaults(run=_service)

    spec = commands.add_parser("kernelspec", help="the Jupyter kernel")
    spec.add_argument("what", choices=("install",))
    spec.add_argument("--user", action="store_true", help="for this user, not for this Python")
    spec.add_argument("--prefix", help="below this folder")
    spec.add_argument("--json", action="store_true", help="print one JSON object")
    spec.set_defaults(run=_kernelspec)
    return top


def _add_token(token: argparse.ArgumentParser) -> None:
    what = ("list", "sessions", "create", "revoke")
    token.add_argument("what", nargs="?", default="list", choices=what)
    token.add_argument(
        "name", nargs="?", metavar="NAME|ID", help="what a new one is called; the id of a former"
    )
    token.add_argument(
        "--scope",
        action="append",
        metavar="SCOPE",
        help="what a new one is good for, again for more; `runs` and `files` by default",
    )
    token.add_argument("--days", type=_place, default=90, metavar="N", help="how long a new one is")
    token.add_argument(
        "--server", metavar="URL", help="on the server at this URL; its token in PGCELLAR_TOKEN"
    )
    token.add_argument("--json", action="store_true", help="print one JSON object")
    token.set_defaults(run=_token)


def _add_audit(audit: argparse.ArgumentParser) -> None:
    audit.add_argument("what", choices=("verify", "show", "export"))
    audit.add_argument("--from", dest="since", metavar="TIME", help="first day to verify, or time")
    audit.add_argument("--to", dest="until", metavar="TIME", help="last day, or the time before it")
    audit.add_argument("--subject", help="who did it")
    audit.add_argument("--action", help="as run.end, or with a * at its end")
    audit.add_argument("--target", help="what it was done to, or with a * at its end")
    audit.add_argument("--outcome", choices=("done", "failed", "denied"))
    audit.add_argument("--limit", type=_place, default=100, metavar="N", help="records to show")
    audit.add_argument("--csv", action="store_true", help="export CSV, not NDJSON")
    audit.add_argument("--json", action="store_true", help="print one JSON object")
    audit.set_defaults(run=_audit)


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError
    return number


def _place(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _take_parameters(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-P",
        dest="parameters",
        type=_parameter,
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="set a parameter of the notebook, :NAME in its cells",
    )


def _take_rerolls(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--reroll",
        metavar="ID|N",
        action="append",
        default=[],
        help="evaluate the volatile functions of this cell anew",
    )


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier() or "\0" in value:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _run(arguments: argparse.Namespace) -> int:
    from pgcellar.cli import running

    return running.interruptible(running.run(arguments))


def _plan(arguments: argparse.Namespace) -> int:
    if arguments.graph:
        from pgcellar.cli import graph

        return graph.graph(arguments)
    from pgcellar.cli import running

    return running.interruptible(running.plan(arguments))


def _page(arguments: argparse.Namespace) -> int:
    from pgcellar.cli import paging, running

    return running.interruptible(paging.page(arguments))


def _demo(arguments: argparse.Namespace) -> int:
    from pgcellar.cli import demo, running

    return running.interruptible(demo.demo(arguments))


def _states(arguments: argparse.Namespace) -> int:
    from pgcellar.cli import running

    async def work() -> int:
        service = client.Client()
        listed = await service.states()
        service.close()
        if arguments.json:
            print(json.dumps({"states": [records.to_json(state) for state in listed]}))
            return 0
        print(f"{'state':12}  {'parent':12}  {'MiB':>8}  {'cost ms':>9}  {'hits':>5}  cell")
        for state in listed:
            spared = " ".join([*(["pinned"] if state.pinned else []), *state.tags])
            print(
                f"{state.state[:12]:12}  {(state.parent or '')[:12]:12}  "
                f"{state.bytes / 2**20:8.1f}  {state.cost_ms:9.1f}  {state.hits:5}  "
                f"{f'[{spared}] ' if spared else ''}{state.cell}"
            )
        return 0

    return running.interruptible(work())


def _gc(arguments: argparse.Namespace) -> int:
    from pgcellar.cli import running

    async def work() -> int:
        service = client.Client()
        done = await service.gc()
        service.close()
        _show(done, as_json=arguments.json)
        return 0

    return running.interruptible(work())


def _doctor(arguments: argparse.Namespace) -> int:
    from pgcellar.cli import doctor

    return doctor.doctor(as_json=arguments.json)


def _audit(arguments: argparse.Namespace) -> int:
    from pgcellar.cli import auditing, running

    return running.interruptible(auditing.audit(arguments))


def _admin(arguments: argparse.Namespace) -> int:
    from pgcellar.cli import administering, running

    return running.interruptible(administering.administer(arguments))


def _token(arguments: argparse.Namespace) -> int:
    from pgcellar.cli import running, tokens

    return running.interruptible(tokens.token(arguments))


def _service(arguments: argparse.Namespace) -> int:
    from pgcellar.cli import running

    if arguments.what == "run":
        from pgcellar import app

        app.main()
        return 0

    async def work() -> int:
        where = paths.current()
        service = client.Client(where, start=False)
        try:
            if arguments.what == "start":
                await launcher.start(where)
            if arguments.what == "stop":
                await service.stop()
                await launcher.wait_stopped(where)
                _show({"status": "stopped"}, as_json=arguments.json)
                return 0
            _show({"status": "running", **await service.status()}, as_json=arguments.json)
            return 0
        except errors.ServiceUnavailable:
            if arguments.what == "start":
                raise
            _show({"status": "not running", "log": str(where.log)}, as_json=arguments.json)
            return 0
        finally:
            service.close()

    return running.interruptible(work())


def _kernelspec(arguments: argparse.Namespace) -> int:
    # The kernel stands above the services; only its installer is asked for here, by name.
    import importlib

    install = importlib.import_module("pgcellar_kernel.install")
    prefix = arguments.prefix or (None if arguments.user else sys.prefix)
    where = install.install(arguments.user, prefix)
    if arguments.json:
        print(json.dumps({"kernelspec": where}))
    else:
        print(f"Installed the kernel in {where}")
    return 0


def _show(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(answer))
        return
    width = max(map(len, answer))
    for name, value in answer.items():
        text = json.dumps(value) if isinstance(value, (dict, list)) else str(value)
        print(f"{name.ljust(width)}  {text}")
