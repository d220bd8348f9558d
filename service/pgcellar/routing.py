"""The routes of the service process: which handler answers what, and with which service."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from pgcellar.api import client, errors
from pgcellar.environments import handlers as environment_handlers
from pgcellar.runner import handlers as run_handlers
from pgcellar.runner import ledger, ledger_handlers, service, upload_handlers, uploads
from pgcellar.runner.looks import handlers as look_handlers
from pgcellar.runner.looks import names as name_looks
from pgcellar.runner.looks import service as looks
from pgcellar.snapshots import handlers as state_handlers
from pgcellar.snapshots import service as snapshots
from pgcellar.web import base


class Process(Protocol):
    """The service process itself."""

    def status(self) -> dict[str, Any]:
        """What `pgcellar service status` says."""

    def stop(self) -> None:
        """End in order, soon."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """What answers."""

    process: Process
    runner: service.Runner
    ledger: ledger.Ledger
    uploads: uploads.Uploads
    tending: environment_handlers.Tending
    cache_of: Callable[[str], Awaitable[snapshots.SnapshotCache]]
    act: state_handlers.Act


def routes(services: Services) -> list[Any]:
    """All routes but those of identity, profiles and telemetry."""
    files = {"files": services.uploads}
    running = {"runner": services.runner, **files}
    accepted = {"ledger": services.ledger, **files}
    keeping = {"cache_of": services.cache_of, "act": services.act}
    looking = {"looks": looks.Looks(services.runner.using)}
    naming = {"looks": name_looks.NameLooks(services.runner)}
    tended = {"tending": services.tending}
    process = {"process": services.process}
    at = client.PREFIX
    run = f"{at}/accepted/([0-9a-f]{{32}})"
    state = f"{at}/states/{state_handlers.STATE}"
    sandbox = f"{at}/environments/{environment_handlers.ENVIRONMENT}"
    return [
        ("/healthz", base.Health),
        ("/readyz", base.Health),
        (f"{at}/me", Me),
        (f"{at}/runs", run_handlers.Runs, running),
        (f"{at}/runs/([0-9a-f]+)/cancel", run_handlers.Cancel, running),
        (f"{at}/plans", run_handlers.Plans, running),
        (f"{at}/pages", run_handlers.Pages, running),
        (f"{at}/notebooks/forget", run_handlers.Forget, running),
        (f"{at}/notebooks/prepare", run_handlers.Prepare, running),
        (f"{at}/accepted", ledger_handlers.Runs, accepted),
        (run, ledger_handlers.Run, accepted),
        (f"{run}/cancel", ledger_handlers.Cancel, accepted),
        (f"{run}/events", ledger_handlers.Events, accepted),
        (f"{run}/result", ledger_handlers.Result, accepted),
        (f"{run}/results/([0-9]{{1,4}})\\.(csv|arrow|parquet)", ledger_handlers.Table, accepted),
        (f"{at}/files", upload_handlers.Files, files),
        (f"{at}/files/missing", upload_handlers.Missing, files),
        (f"{at}/files/chunks/([^/]+)", upload_handlers.Chunk, files),
        (f"{at}/files/names/(.+)", upload_handlers.File, files),
        (f"{at}/states", state_handlers.States, keeping),
        (f"{state}/pin", state_handlers.Pin, keeping),
        (f"{state}/tags/{state_handlers.TAG}", state_handlers.Tag, keeping),
        (f"{at}/gc", state_handlers.Collect, keeping),
        (state, look_handlers.State, looking),
        (f"{state}/diff/{state_handlers.STATE}", look_handlers.Diff, looking),
        (f"{at}/names", look_handlers.Names, {**naming, **files}),
        (f"{at}/vocabulary", look_handlers.Vocabulary, naming),
        (f"{at}/environments", environment_handlers.Environments, tended),
        (sandbox, environment_handlers.Environment, tended),
        (f"{sandbox}/stop", environment_handlers.Stop, tended),
        (f"{sandbox}/restart", environment_handlers.Restart, tended),
        (f"{sandbox}/reset", environment_handlers.Reset, tended),
        (f"{at}/service", Status, process),
        (f"{at}/service/stop", Stop, process),
    ]


class Me(base.BaseHandler):
    """`GET /me`."""

    scope = "me"

    def get(self) -> None:
        """Who asks, as the services know them."""
        self.answer(
            {
                "subject": self.identity.subject,
                "name": self.identity.name,
                "kind": self.identity.kind,
                "roles": list(self.identity.roles),
                "scopes": list(self.identity.scopes),
            }
        )


class Status(base.BaseHandler):
    """`GET /service`: for who administers it."""

    def initialize(self, process: Process) -> None:
        """See the routes."""
        self.process = process

    async def prepare(self) -> None:
        """Raises Forbidden for anybody else."""
        await super().prepare()
        if not self.identity.administers:
            raise errors.Forbidden("Only an administrator may ask this of the service.")

    def get(self) -> None:
        """The service's own state."""
        self.answer(self.process.status())


class Stop(Status):
    """`POST /service/stop`."""

    def post(self) -> None:
        """End the service in order."""
        self.answer({})
        self.process.stop()
