"""The gateway as an extension of Jupyter Server.

Who asks is Jupyter's to say: its identity provider knows the person, its authorizer says whether
`read`, `write` or `execute` of `pgcellar` is theirs, its token and XSRF checks guard the way.
"""

from __future__ import annotations

import traitlets
from jupyter_server.extension.application import ExtensionApp
from jupyter_server.utils import url_path_join

from pgcellar.api import client
from pgcellar_server import handlers, limits, notifying, routes

#: Where the API is, below the server's base URL.
ROOT = "/pgcellar/api/v1"


class Gateway(ExtensionApp):
    """See the module. Configured as `c.Gateway.…`."""

    name = "pgcellar"
    description = "SQL notebooks without hidden state: REST over pgcellar's services"
    open_browser = False

    requests_per_minute = traitlets.Float(
        1200.0, min=0, help="Requests that one caller may make in a minute; 0 for any number."
    ).tag(config=True)
    burst = traitlets.Int(200, min=1, help="Requests that may come at once.").tag(config=True)

    def initialize_handlers(self) -> None:
        """Put a handler at every path of the API."""
        assert self.serverapp is not None
        self._services = client.Client()
        notifying.register(self.serverapp.event_logger)
        limiter = limits.RateLimiter(self.requests_per_minute, self.burst)
        root = url_path_join(self.serverapp.base_url, ROOT)
        self.handlers.extend(
            [
                (f"{ROOT}/openapi.json", handlers.Document, {"root": root}),
                (f"{ROOT}/?", handlers.Page, {"root": root}),
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

    async def stop_extension(self) -> None:
        """Drop the connections to the services, which go on."""
        self._services.close()
