"""Audit and telemetry, wired: what a service is watched by. Its settings, routes and life."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import functools
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import tornado.httpserver
import tornado.routing
import tornado.web
import traitlets
import traitlets.config

from pgcellar.api import client, errors, paths, records
from pgcellar.audit import (
    anchor,
    reading,
    runs,
    service,
    spool,
    statements,
    store,
    thinning,
    upkeep,
)
from pgcellar.audit import handlers as audit_handlers
from pgcellar.control import database
from pgcellar.runner import requests
from pgcellar.runner import service as runner
from pgcellar.telemetry import gauges, handlers, logs, metrics, routes, tracing
from pgcellar.web import base, calls

logger = logging.getLogger(__name__)

#: Seconds in which the acts of runs are gathered where one person runs them all.
LINGER = 0.2

Emit = Callable[[records.Event], Awaitable[None]]

METRICS = "/metrics"
#: Routes that keep no service awake.
_MONITORS = (METRICS, "/healthz", "/readyz")
#: Seconds between two looks for days to give up.
_RETENTION_INTERVAL = 3600.0


class Audit(traitlets.config.Configurable):
    """The settings of the audit log."""

    statements = traitlets.Enum(
        ["text", "digest", "none"], "text", help="What is written down of statements."
    ).tag(config=True)
    when_unavailable = traitlets.Enum(
        ["spool", "refuse"],
        "spool",
        help="What becomes of acts while the audit log's database is down.",
    ).tag(config=True)
    spool_bytes = traitlets.Int(
        64 * 1024 * 1024, min=0, help="Bytes that the spool may take; then acts are refused."
    ).tag(config=True)
    dsn = traitlets.Unicode(
        "", help="Connection string of a login of the writer's role; empty for the control one."
    ).tag(config=True)
    keep_days = traitlets.Int(
        0, min=0, help="Days after which records are given up; 0 keeps them. At least 8."
    ).tag(config=True)


class Telemetry(traitlets.config.Configurable):
    """The settings of metrics, logs and traces."""

    metrics_port = traitlets.Int(
        0, min=0, max=65535, help="TCP port that answers /metrics alone; 0 for none."
    ).tag(config=True)
    metrics_ip = traitlets.Unicode("127.0.0.1", help="The address of that port.").tag(config=True)
    log_format = traitlets.Enum(
        ["text", "json"], "text", help="The form of the service's log."
    ).tag(config=True)
    traces = traitlets.Unicode(
        "", help="URL of a collector that takes OTLP over HTTP; empty for no traces."
    ).tag(config=True)


class Observing:
    """See the module."""

    def __init__(
        self, where: paths.Paths, audit: Audit, telemetry: Telemetry, *, linger: float = LINGER
    ) -> None:
        self._paths = where
        self._linger = linger
        self._audit = audit
        self._telemetry = telemetry
        self._templates = routes.Routes(())
        self.metrics = metrics.Metrics()
        self.tracing: tracing.Tracing = tracing.Off()
        self.log: service.Log
        #: The same for whoever may be refused again and again.
        self.acts: thinning.Thinned
        self._runs: runs.Runs
        self._upkeep: upkeep.Upkeep
        self._records: store.AuditStore

    @contextlib.asynccontextmanager
    async def open(self, control: database.ControlDatabase) -> AsyncIterator[None]:
        """While this is held acts are written down."""
        folder = self._paths.home / "audit"
        self._anchor = folder / "anchor.json"
        async with contextlib.AsyncExitStack() as stack:
            db = control
            if self._audit.dsn:
                db = database.ControlDatabase(self._paths, dsn=self._audit.dsn, migrate=False)
                # It may be down: that is what the spool is for.
                stack.push_async_callback(db.close)
                with contextlib.suppress(errors.ServiceUnavailable):
                    await db.open()
            self._records = store.AuditStore(db)
            if self._telemetry.traces:
                self.tracing = tracing.exporting(self._telemetry.traces)
            stack.callback(self.tracing.close)
            policy: Any = self._audit.when_unavailable
            texts: Any = self._audit.statements
            self.log = service.Log(
                self._records,
                spool.Spool(folder / "spool", max_bytes=self._audit.spool_bytes),
                when_unavailable=policy,
                linger=self._linger,
                written=functools.partial(anchor.note, self._anchor),
            )
            await self.log.open()
            stack.push_async_callback(self.log.close)
            self.acts = thinning.Thinned(self.log)
            stack.push_async_callback(self.acts.close)
            self._upkeep = upkeep.Upkeep(self.log)
            stack.push_async_callback(self._upkeep.close)
            self._runs = runs.Runs(
                self.log,
                statements.Statements(policy=texts),
                strict=policy == "refuse",
            )
            stack.push_async_callback(self._runs.close)
            if self._audit.keep_days:
                keeper = asyncio.create_task(self._keep(store.AuditStore(control)))
                stack.push_async_callback(_ended, keeper)
            yield

    @contextlib.asynccontextmanager
    async def run(self, owner: str, request: records.RunRequest, emit: Emit) -> AsyncIterator[Emit]:
        """While this is held a run goes on, which tells its events to what is given."""
        call = calls.current.get()
        who = _who(owner, call)

        async def tell(event: records.Event) -> None:
            if isinstance(event, records.Started):
                calls.run.set(event.run)
            elif isinstance(event, records.Done):
                self.metrics.done(event, who.kind)
            await emit(event)

        traced = self.tracing.watch(tell, call.traceparent if call else None)
        async with traced as seen, self._runs.watch(who, request, seen) as watched:
            yield watched

    async def page(self, owner: str, request: records.PageRequest) -> None:
        """Somebody looks at a page. The first one of a result is written down."""
        if request.offset == 0:
            who = _who(owner, calls.current.get())
            cell = request.cells[request.head].id if request.head < len(request.cells) else ""
            await self.log.write(who.act("page.read", request.notebook, details={"cell": cell}))

    async def act(self, owner: str, action: str, target: str, **details: str) -> None:
        """Somebody is about to do something that is written down. Raises AuditUnavailable."""
        who = _who(owner, calls.current.get())
        await self.log.write(who.act(action, target, details=details))

    def sandbox(self, owner: str, action: str, name: str, /, **details: str) -> None:
        """Somebody's sandbox was started, which is their act, or something else became of it."""
        if action == "start":
            act = _who(owner, calls.current.get()).act(f"environment.{action}", name)
        else:
            act = upkeep.SERVICE.act(f"environment.{action}", name, details={"owner": owner})
        self._upkeep.note(dataclasses.replace(act, details={**act.details, **details}))

    def evicted(self, owner: str, sandbox: str, states: Sequence[str]) -> None:
        """States of somebody's were given up for the limits."""
        self.metrics.evictions.inc(len(states))
        self._upkeep.evicted(owner, sandbox, states)

    def mount(
        self, routed: tornado.web.Application, now: gauges.Gauges, touch: Callable[[], None]
    ) -> None:
        """Add the routes of audit and metrics to a service's, and count its requests.

        `touch` is called for every request that somebody asks, and not a monitor.
        """
        self.metrics.add(now)
        self._gauges = now
        reader = reading.Reading(self._records)
        records = {"records": reader, "noted": self._anchor, "log": self.log}
        at = client.PREFIX
        ours: list[Any] = [
            (METRICS, handlers.Metrics, {"counted": self.metrics, "now": now}),
            (f"{at}/audit", audit_handlers.Records, records),
            (f"{at}/audit/export", audit_handlers.Export, records),
            (f"{at}/audit/verify", audit_handlers.Verify, records),
        ]
        theirs = [rule.matcher for rule in routed.wildcard_router.rules]
        patterns = [m.regex.pattern for m in theirs if isinstance(m, tornado.routing.PathMatches)]
        self._templates = routes.Routes([*patterns, *(route[0] for route in ours)])
        routed.add_handlers(".*", ours)

        def answered(handler: tornado.web.RequestHandler) -> None:
            if self._answered(handler) not in _MONITORS:
                touch()

        routed.settings["log_function"] = answered

    def _answered(self, handler: tornado.web.RequestHandler) -> str:
        """Count a request, and write down that it was refused; its route."""
        request, status = handler.request, handler.get_status()
        route = self._templates.of(request.path)
        self.metrics.request(request.method or "", route, status, request.request_time())
        if status == 403 and isinstance(handler, base.BaseHandler):
            self._refused(handler)
        return route

    def _refused(self, handler: base.BaseHandler) -> None:
        """Somebody who is known was kept from something."""
        call = calls.current.get()
        if call is not None and handler.problem is not None:
            act = _who(call.identity.subject, call).act(
                "request.deny",
                f"{handler.request.method} {handler.request.path}",
                "denied",
                details={"reason": handler.problem.detail},
            )
            self.acts.note(act)

    def listen(self) -> tornado.httpserver.HTTPServer | None:
        """The port for Prometheus, if one is wanted."""
        if not self._telemetry.metrics_port:
            return None
        only = [(METRICS, handlers.Metrics, {"counted": self.metrics, "now": self._gauges})]
        server = tornado.httpserver.HTTPServer(
            tornado.web.Application(only, log_function=lambda handler: None)
        )
        server.listen(self._telemetry.metrics_port, address=self._telemetry.metrics_ip)
        return server

    async def _keep(self, records: store.AuditStore) -> None:
        """Give up old days, again and again."""
        while True:
            before = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(
                days=self._audit.keep_days
            )
            with contextlib.suppress(errors.PgcellarError):
                for day, count in await records.expire(before):
                    logger.info("audit records of %s are given up: %d", day, count)
                    details = {"records": count}
                    act = upkeep.SERVICE.act("audit.expire", day.isoformat(), details=details)
                    # They are gone, whatever the log's database does now.
                    await self.log.write(act, owed=True)
            await asyncio.sleep(_RETENTION_INTERVAL)


class Runner(runner.Runner):
    """A runner that is watched."""

    def __init__(self, observing: Observing, *parts: Any) -> None:
        super().__init__(*parts)
        self._observing = observing

    async def run_checked(
        self, owner: str, request: records.RunRequest, emit: Emit, identity: str | None = None
    ) -> None:
        """See `runner.Runner`. Raises AuditUnavailable."""
        async with self._observing.run(owner, request, emit) as watched:
            await super().run_checked(owner, request, watched, identity)

    async def page(self, owner: str, request: records.PageRequest) -> records.Page:
        """See `runner.Runner`. Raises AuditUnavailable."""
        requests.check_page(request)
        await self._observing.page(owner, request)
        return await super().page(owner, request)


def _who(owner: str, call: calls.Call | None) -> runs.Who:
    """Whose act it is. A run that is taken up again after a restart has no request any more."""
    if call is None or call.identity.subject != owner:
        return runs.Who(subject=owner)
    found = call.identity
    return runs.Who(
        subject=owner,
        name=found.name,
        kind=found.kind,
        address=call.address,
        token=found.token,
    )


def log(settings: Telemetry) -> None:
    """Have this process log as the settings say."""
    form: Any = settings.log_format
    logs.configure(form, os.environ.get("PGCELLAR_LOG", "INFO"))


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
