"""The gateway as an extension of Jupyter Server.

Who asks is Jupyter's to say: its identity provider knows the person, its authorizer says whether
`read`, `write` or `execute` of `pgcellar` is theirs, its token and XSRF checks guard the way.
"""

from __future__ import annotations

import os
from typing import Any

import traitlets
from jupyter_server.extension.application import ExtensionApp
from jupyter_server.utils import url_path_join

from pgcellar.api import client, rates, traces
from pgcellar_server import (
    elsewhere,
    handlers,
    notifying,
    people_routes,
    people_schemas,
    routes,
)

#: Where the API is, below the server's base URL.
ROOT = "/pgcellar/api/v1"
#: By which JupyterLab's pages know that there is a central gateway.
_PAGE_OPTION = "pgcellarCentral"


class Gateway(ExtensionApp):
    """See the module. Configured as `c.Gateway.…`."""

    name = "pgcellar"
    description = "SQL notebooks without hidden state: REST over pgcellar's services"
    open_browser = False

    requests_per_minute = traitlets.Float(
        1200.0, min=0, help="Requests that one caller may make in a minute; 0 for any number."
    ).tag(config=True)
    burst = traitlets.Int(200, min=1, help="Requests that may come at once.").tag(config=True)

    central_url = traitlets.Unicode(
        "",
        help="The central gateway that the person of this server has classes at,"
        " `https://sql.example.org`; empty for none.",
    ).tag(config=True)

    traces = traitlets.Unicode(
        "", help="URL of a collector that takes OTLP over HTTP; empty for no traces."
    ).tag(config=True)

    def initialize_handlers(self) -> None:
        """Put a handler at every path of the API."""
        assert self.serverapp is not None
        self._services = client.Client()
        self._central: elsewhere.Elsewhere | None = None
        notifying.register(self.serverapp.event_logger)
        self._traces = traces.to(self.traces, "pgcellar-gateway")
        self.serverapp.web_app.settings["pgcellar_traces"] = self._traces
        limiter = rates.RateLimiter(self.requests_per_minute, self.burst)
        root = url_path_join(self.serverapp.base_url, ROOT)
        served: tuple[routes.Route, ...] = routes.ROUTES
        named: dict[str, Any] = {}
        if self.central_url:
            served, named = (*served, *people_routes.CLASSES), dict(people_schemas.ALL)
            self.handlers.extend(self._classes(limiter))
        described = {"root": root, "served": served, "named": named}
        self.handlers.extend(
            [
                (f"{ROOT}/openapi.json", handlers.Document, described),
                (f"{ROOT}/?", handlers.Page, described),
                *(
                    (
                        ROOT + pattern,
                        handlers.Operation,
                        {"services": self._services, "limiter": limiter, "operations": operations},
                    )
                    for pattern, operations in routes.table(routes.ROUTES).items()
                ),
                (f"{ROOT}/.*", handlers.Missing),
            ]
        )

    def _classes(self, limiter: rates.RateLimiter) -> list[Any]:
        """The routes of classes, which the central gateway answers."""
        assert self.serverapp is not None
        self._central = elsewhere.Elsewhere(
            self.central_url,
            token=os.environ.get("PGCELLAR_TOKEN", ""),
            hub_token=os.environ.get("JUPYTERHUB_API_TOKEN", ""),
        )
        page = self.serverapp.web_app.settings.setdefault("page_config_data", {})
        page[_PAGE_OPTION] = "true"
        given = {"services": self._central, "limiter": limiter}
        return [
            (ROOT + pattern, handlers.CentralOperation, {**given, "operations": operations})
            for pattern, operations in routes.table(people_routes.CLASSES).items()
        ]

    async def stop_extension(self) -> None:
        """Drop the connections to the services, which go on."""
        self._services.close()
        self._traces.close()
        if self._central is not None:
            self._central.close()
