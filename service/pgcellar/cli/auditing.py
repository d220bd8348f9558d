"""`pgcellar audit`: whether the log holds, and what is in it."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys

from pgcellar.api import client


async def audit(arguments: argparse.Namespace) -> int:
    """Verify, show or export; 1 where the chain does not hold."""
    with contextlib.closing(client.Client()) as service:
        if arguments.what == "verify":
            return await _verify(service, arguments)
        filters = {
            name: getattr(arguments, name)
            for name in ("subject", "action", "target", "outcome", "since", "until")
        }
        if arguments.what == "export":
            form = "csv" if arguments.csv else "ndjson"
            await service.audit_export(_print, format=form, **filters)
            sys.stdout.buffer.flush()
            return 0
        return await _show(service, arguments, filters)


async def _print(chunk: bytes) -> None:
    sys.stdout.buffer.write(chunk)


async def _verify(service: client.Client, arguments: argparse.Namespace) -> int:
    query = {"from": arguments.since, "to": arguments.until}
    verdict = await service.audit("/verify", **query)
    if arguments.json:
        print(json.dumps(verdict))
    else:
        for finding in verdict["findings"]:
            seq = "" if finding["seq"] is None else f" #{finding['seq']}"
            print(f"{finding['day']}{seq}: {finding['problem']}: {finding['message']}")
        holds = "holds" if verdict["ok"] else "DOES NOT HOLD"
        print(
            f"The chain {holds}: {verdict['records']} records on {verdict['days']} days, "
            f"{verdict['expired']} days given up. Its end is {verdict['last']}."
        )
    return 0 if verdict["ok"] else 1


async def _show(
    service: client.Client, arguments: argparse.Namespace, filters: dict[str, str | None]
) -> int:
    found = await service.audit("", limit=str(min(arguments.limit, 1_000)), **filters)
    if arguments.json:
        print(json.dumps(found))
        return 0
    for record in found["records"]:
        print(
            f"{record['at'][:19]}  {record['day']}#{record['seq']:<6}  {record['subject']:16}  "
            f"{record['action']:14}  {record['outcome']:6}  {record['target']}"
        )
    return 0
