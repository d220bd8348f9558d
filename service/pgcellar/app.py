"""The composition root: builds the services, wires them, serves them on one Unix socket.

One process per user. It holds a lock for its whole life, so that of several that are started at
once one stays; it ends by itself when nobody has used it for a while. Killed at any moment, it
leaves servers that the next one adopts or replaces.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import tornado.httpserver
import tornado.netutil
import tornado.web
import traitlets
import traitlets.config

import pgcellar
from pgcellar import classroom, housekeeping, listening, observing, people, routing, tending
from pgcellar.api import paths, records
from pgcellar.control import database
from pgcellar.environments import local, spawner
from pgcellar.environments import service as environments
from pgcellar.environments import store as sandboxes
from pgcellar.postgres import folders
from pgcellar.runner import (
    disks,
    files,
    instances,
    ledger,
    ledger_store,
    progress,
    progress_store,
    slices,
    uploads,
    workspace,
)
from pgcellar.runner import service as runner
from pgcellar.runner import store as knowledge
from pgcellar.snapshots import driver, eviction, pins
from pgcellar.snapshots import service as snapshots
from pgcellar.snapshots import store as index
from pgcellar.telemetry import gauges
from pgcellar.web import base

logger = logging.getLogger(__name__)

#: The largest request: a notebook with cells of many megabytes.
MAX_BODY = 512 * 1024 * 1024
_WATCH_INTERVAL = 1.0


class ServiceApp(traitlets.config.Application):
    """The service process. Configured by `pgcellar_config.py` in the home folder."""

    name = "pgcellar"

    idle_timeout = traitlets.Float(
        1800.0, help="Seconds without any request after which the service ends."
    ).tag(config=True)
    sandbox_idle_timeout = traitlets.Float(
        900.0, help="Seconds without a run after which a sandbox is stopped; its states stay."
    ).tag(config=True)
    spares = traitlets.Int(
        1, min=0, help="Sandboxes kept running for whoever comes, or crashes, next."
    ).tag(config=True)
    max_sandboxes = traitlets.Int(
        0, min=0, help="Sandboxes that may run at once, besides spares; 0 for any number."
    ).tag(config=True)
    sandbox_patience = traitlets.Float(
        60.0, help="Seconds for which a run waits while so many are in use."
    ).tag(config=True)
    snapshot_bytes = traitlets.Int(
        eviction.Limits().bytes, help="Bytes that the snapshots of one sandbox may take."
    ).tag(config=True)
    snapshot_count = traitlets.Int(
        eviction.Limits().count, help="How many snapshots one sandbox may keep."
    ).tag(config=True)
    free_bytes = traitlets.Int(
        1 << 30,
        min=0,
        help="Bytes of the home's file system that others than the service's owner leave free.",
    ).tag(config=True)
    page_bytes = traitlets.Int(
        slices.DEFAULT_BYTES,
        min=0,
        help="Bytes that results kept for pages may take, compressed; one of them half of it.",
    ).tag(config=True)
    extensions = traitlets.List(
        traitlets.Unicode(), help="Extensions that the base of every notebook has."
    ).tag(config=True)
    control_dsn = traitlets.Unicode(
        "", help="Connection string of the control database; empty for the embedded one."
    ).tag(config=True)

    def __init__(self, where: paths.Paths, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._paths = where
        self._used = time.monotonic()
        self._stopping = asyncio.Event()
        self._caches: dict[str, snapshots.SnapshotCache] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def load_settings(self) -> None:
        """Read `pgcellar_config.py`, if there is one."""
        if (self._paths.home / "pgcellar_config.py").exists():
            self.load_config_file("pgcellar_config.py", path=[str(self._paths.home)])

    # --- life --------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Run until stopped, idle, or already running elsewhere."""
        folders.private_folder(self._paths.socket.parent)
        with self._paths.lock.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.info("another service is running")
                return
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n{self._paths.socket}\n")
            lock.flush()
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._stopping.set)
            async with self.services():
                servers = self._listen()
                logger.info("serving at %s", self._paths.socket)
                await self._until_done()
                logger.info("stopping")
                for server in servers:
                    server.stop()
                self._paths.socket.unlink(missing_ok=True)

    @contextlib.asynccontextmanager
    async def services(self) -> AsyncIterator[runner.Runner]:
        """The services of this process, open, as one runner."""
        async with contextlib.AsyncExitStack() as stack:
            await self._compose(stack)
            yield self._runner

    async def _compose(self, stack: contextlib.AsyncExitStack) -> None:
        db = database.ControlDatabase(self._paths, dsn=self.control_dsn or None)
        await stack.enter_async_context(db)
        self._db = db
        identity = people.Identity(parent=self)
        self._listening = listening.Listening(parent=self)
        self._observing = observing.Observing(
            self._paths,
            observing.Audit(parent=self),
            observing.Telemetry(parent=self),
            # Others' acts are not lost, however the service ends.
            linger=0.0 if identity.enabled else observing.LINGER,
        )
        await stack.enter_async_context(self._observing.open(db))
        self._people = await stack.enter_async_context(
            people.open(identity, self._paths, db, self._observing.acts)
        )
        self._steps: progress.Progress | None = None
        if identity.enabled:
            steps = progress.Progress(progress_store.ProgressStore(db))
            self._steps = await stack.enter_async_context(steps.kept())
        self._environments = environments.Environments(
            sandboxes.SandboxStore(db),
            self._spawner,
            kind="local",
            idle_timeout=self.sandbox_idle_timeout,
            spares=self.spares,
            limits=environments.Limits(
                running=self.max_sandboxes,
                starting=2 * (os.cpu_count() or 1),
                patience=self.sandbox_patience,
            ),
            stopped=self._left,
            restraints=self._restraints if self._people.others else None,
            told=self._observing.sandbox,
        )
        await self._environments.open()
        stack.push_async_callback(self._environments.close)
        self._index = index.SnapshotStore(db)
        kept = slices.SliceStore(db, max_bytes=self.page_bytes)
        stack.push_async_callback(kept.close)
        uploaded = self._paths.home / "files"
        disk = disks.Disk(self._paths.home, self.free_bytes)
        self._disk = disk
        self._uploads = uploads.Uploads(uploaded, admit=disk.admit if identity.enabled else None)
        self._runner = observing.Runner(
            self._observing,
            self._environments,
            self._workspace,
            kept,
            files.Files(uploaded),
            self._people.limit,
            self._steps,
            disk if identity.enabled else None,
        )
        stack.push_async_callback(self._runner.close)
        self._runs = ledger_store.RunStore(db)
        self._ledger = ledger.Ledger(self._runner, self._runs, spend=self._people.spend)
        await self._ledger.open()
        self._tending = tending.Tending(
            self._environments,
            self._runner,
            self._ledger,
            self._observing,
            base_of=self._base_of,
            forget=self._forget,
        )
        stack.push_async_callback(self._ledger.close)
        if self._people.others:
            self.housekeeping = housekeeping.Housekeeping(self._people, self._erase)
            await stack.enter_async_context(self.housekeeping.kept())

    def _listen(self) -> list[tornado.httpserver.HTTPServer]:
        routes = self._routes()
        self._observing.mount(routes, self._gauges(), self.touch)
        server = tornado.httpserver.HTTPServer(
            routes, max_buffer_size=MAX_BODY, max_body_size=MAX_BODY
        )
        socket = self._paths.socket
        socket.unlink(missing_ok=True)
        server.add_socket(tornado.netutil.bind_unix_socket(str(socket), mode=0o600))
        elsewhere = self._listening.listen(routes, max_body=MAX_BODY)
        monitored = self._observing.listen()
        return [each for each in (server, elsewhere, monitored) if each is not None]

    async def _until_done(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _WATCH_INTERVAL)
            if self._runner.active or self._ledger.active or self._listening.port:
                # Whoever comes by the port could start no other.
                self._used = time.monotonic()
            elif time.monotonic() - self._used > self.idle_timeout:
                logger.info("idle for %.0f s", self.idle_timeout)
                return
            if not self._paths.socket.exists():
                # As after the last log-out, which takes the runtime folder away. The lock would
                # keep the next service from starting.
                logger.warning("the socket %s is gone", self._paths.socket)
                return

    def stop(self) -> None:
        """End in order, soon."""
        self._stopping.set()

    def touch(self) -> None:
        """Somebody asked for something."""
        self._used = time.monotonic()

    # --- wiring ------------------------------------------------------------------------------

    def _spawner(self, name: str, state: Mapping[str, Any]) -> spawner.Spawner:
        return local.LocalSpawner(
            name,
            state,
            home=self._paths.home,
            runtime=self._paths.runtime,
            shared=self._people.others,
            parent=self,
        )

    async def _restraints(self, owner: str) -> spawner.Restraints:
        return spawner.Restraints(
            memory=await self._people.limit(owner, "memory_bytes"),
            processors=await self._people.limit(owner, "cpu"),
        )

    async def _workspace(self, sandbox: environments.Sandbox) -> workspace.Workspace:
        await self._index.keep_only(self._environments.names())
        databases = driver.DatabaseDriver(sandbox.endpoint)
        allowed = await self._people.limit(sandbox.row.owner, "snapshot_bytes")
        cache = snapshots.SnapshotCache(
            sandbox.name,
            databases,
            self._index,
            pins.Pins(sandbox.row.owner, index.PinStore(self._db)),
            limits=eviction.Limits(
                bytes=int(min(self.snapshot_bytes, allowed)), count=self.snapshot_count
            ),
            extensions=tuple(self.extensions),
            evicted=functools.partial(self._observing.evicted, sandbox.row.owner, sandbox.name),
        )
        owner = sandbox.row.owner
        learned = knowledge.KnowledgeStore(self._db, owner)
        async with contextlib.AsyncExitStack() as stack:
            await learned.open()
            stack.push_async_callback(learned.close)
            stack.push_async_callback(cache.close)
            await cache.open()
            space = workspace.Workspace(
                records.SandboxInfo(
                    name=sandbox.name,
                    status="running",
                    server_version=sandbox.endpoint.server_version,
                    copy_on_write=cache.shares_extents,
                ),
                cache,
                databases,
                instances.Instances(sandbox.endpoint, cache, databases),
                learned,
                stack.pop_all(),
            )
        await space.open()
        self._caches[owner] = cache
        return space

    def _left(self, owner: str) -> None:
        """A sandbox was stopped: what is held of it in memory goes too, behind whoever waits."""
        self._caches.pop(owner, None)
        task = asyncio.create_task(self._runner.leave(owner))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _base_of(self, owner: str) -> str | None:
        cache = self._caches.get(owner)
        return None if cache is None else cache.base

    async def _forget(self, owner: str) -> None:
        """Drop what is kept of an owner's states besides the sandbox, which is gone."""
        await self._index.keep_only(self._environments.names())
        await index.PinStore(self._db).forget(owner)
        await knowledge.forget(self._db, owner)

    async def _erase(self, owner: str) -> None:
        """Drop all that is kept of an owner who is gone."""
        await self._tending.erase(owner, "Your time here is over.")
        await self._runs.remove(owner)
        await progress_store.ProgressStore(self._db).forget(owner)
        await asyncio.to_thread(self._uploads.forget, owner)

    async def _cache_of(self, owner: str) -> snapshots.SnapshotCache:
        await self._runner.space(owner)
        return self._caches[owner]

    def _routes(self) -> tornado.web.Application:
        services = routing.Services(
            process=self,
            runner=self._runner,
            ledger=self._ledger,
            uploads=self._uploads,
            tending=self._tending,
            cache_of=self._cache_of,
            act=self._observing.act,
        )
        return tornado.web.Application(
            [*routing.routes(services), *self._people.routes(self._classroom)],
            default_handler_class=base.Missing,
            log_function=lambda handler: self.touch(),
            pgcellar_authentication=self._people.authentication(),
            pgcellar_quotas=self._people.allowances,
            pgcellar_pace=self._people.pace,
        )

    def _classroom(self) -> classroom.Classroom:
        assert self._steps is not None
        return classroom.Classroom(
            self._runner, self._ledger, self._environments, self._steps, self._tending, self._index
        )

    def _gauges(self) -> gauges.Gauges:
        log = self._observing.log
        return gauges.Gauges(
            gauges.Sources(
                sandboxes=self._environments.counts,
                snapshots=self._snapshots,
                disk_free=lambda: self._disk.free,
                active_runs=lambda: self._runner.active,
                queued_runs=lambda: self._ledger.waiting().total(),
                audit=lambda: (log.waiting, *log.spooled, log.lost),
                audit_up=lambda: log.up,
                control=lambda: self._db.fetch("select 1"),
                version=pgcellar.__version__,
            )
        )

    def _snapshots(self) -> tuple[int, int]:
        kept = [snapshot for cache in self._caches.values() for snapshot in cache.all()]
        return len(kept), sum(snapshot.bytes for snapshot in kept)

    def status(self) -> dict[str, Any]:
        """What `pgcellar service status` says."""
        return {
            "version": pgcellar.__version__,
            "pid": os.getpid(),
            "socket": str(self._paths.socket),
            "home": str(self._paths.home),
            "log": str(self._paths.log),
            "active_runs": self._runner.active,
            "sandboxes": [
                {
                    "name": sandbox.name,
                    "server_version": sandbox.endpoint.server_version,
                    "idle_seconds": round(sandbox.idle_seconds(), 1),
                    "alive": sandbox.alive(),
                }
                for sandbox in self._environments.running()
            ],
        }


def main(where: paths.Paths | None = None) -> None:
    """Run the service in this process until it ends."""
    found = where or paths.current()
    paths.make_home(found)
    app = ServiceApp(found)
    app.load_settings()
    observing.log(observing.Telemetry(parent=app))
    asyncio.run(app.serve())
