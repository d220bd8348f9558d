"""The REST API: every route with what it takes and gives, for the router and for OpenAPI alike.

A route is never changed so that a request that was right becomes wrong: members may be added to
what is given, and optional ones to what is taken. Anything else is a new version beside this one.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pgcellar.api import transport
from pgcellar_server import schemas

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

_PARAMETER = re.compile(r"\{(\w+)\}")
#: What may stand for the parameters of paths.
_PATTERNS: Mapping[str, str] = {
    "run": "[0-9a-f]{32}",
    "state": "[0-9a-f]{64}",
    "other": "[0-9a-f]{64}",
    "environment": "[0-9a-f]{8}",
    "tag": "[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
    "statement": "[0-9]{1,4}",
    "digest": "[0-9a-f]{64}",
    "name": "[^?#]{1,900}",
    "provider": "[a-z][a-z0-9_-]{0,40}",
    "token": "[0-9a-f]{32}",
    "class_": "[0-9a-f]{16}",
    "subject": "[A-Za-z0-9_.:@-]{1,80}",
}
_LINES = (
    "One JSON object a line; its `event` says which. What a statement gives comes as `columns`,"
    " `rows` and `completed`, whose members are those of Columns, Rows and Completed."
)
_BINARY = {"type": "string", "format": "binary"}
#: How the rows of a result come: the path's ending, its name, what is given, what may go wrong.
_TABLES: tuple[tuple[str, str, Mapping[str, Any], tuple[int, ...]], ...] = (
    ("csv", "CSV", {"text/csv": {"type": "string"}}, ()),
    ("arrow", "an Arrow file", {"application/vnd.apache.arrow.file": _BINARY}, (400,)),
    ("parquet", "Parquet", {"application/vnd.apache.parquet": _BINARY}, (400,)),
)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One operation. `path` and `service` are templates, of the gateway's and the service's path.

    `answers` has the status of success and the schema of what is given, by content type; None
    where nothing is. `also` are further statuses of success, `problems` what may go wrong. `public`
    routes are anybody's; `cookies` bind what they begin to a browser. The body of a `long` one has
    a notebook.
    """

    method: Method
    path: str
    service: str
    summary: str
    tag: str
    status: int = 200
    answers: Mapping[str, Any] | None = None
    body: Mapping[str, Any] | None = None
    binary: bool = False
    long: bool = False
    query: tuple[Mapping[str, Any], ...] = ()
    headers: tuple[Mapping[str, Any], ...] = ()
    also: tuple[int, ...] = ()
    problems: tuple[int, ...] = ()
    public: bool = False
    cookies: bool = False

    @property
    def pattern(self) -> str:
        """The regular expression of the path below the API's root."""
        return _PARAMETER.sub(lambda found: f"(?P<{found[1]}>{_PATTERNS[found[1]]})", self.path)

    @property
    def operation(self) -> str:
        """The operation's name: a method, a path's fixed words, what stands behind parameters."""
        words = [word.rpartition("}.")[2] for word in self.path.strip("/").split("/")]
        fixed = [word for word in words if not word.startswith("{")]
        return "_".join([self.method.lower(), *fixed, *(name for name, _ in self.parameters)])

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """The parameters of the path, each with its pattern."""
        return tuple((name, _PATTERNS[name]) for name in _PARAMETER.findall(self.path))


def table(routes: Iterable[Route]) -> dict[str, dict[str, Route]]:
    """The routes by the pattern of their paths, and then by method."""
    found: dict[str, dict[str, Route]] = {}
    for route in routes:
        found.setdefault(route.pattern, {})[route.method] = route
    return found


def _json(schema: Any) -> dict[str, Any]:
    return {"application/json": schema}


_LIMIT = {
    "name": "limit",
    "in": "query",
    "description": "Entries on a page.",
    "schema": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
}
_AFTER = {
    "name": "after",
    "in": "query",
    "description": "`next` of the page before.",
    "schema": {"type": "string", "maxLength": 300},
}
#: The same of lists whose entries are few and small.
PAGES = (
    {
        **_LIMIT,
        "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 1000},
    },
    {**_AFTER, "schema": {"type": "string", "maxLength": 900}},
)
#: The header by which a request has a name.
NAMED = {
    "name": transport.KEY,
    "in": "header",
    "description": "A name of this request's own: sent again with it, it is done no second time.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
_EVENT = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The id of the last event that was had; what follows is sent.",
    "schema": {"type": "string", "pattern": "^[0-9]{1,9}-[0-9]{1,9}$"},
}

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/me",
        service="/me",
        summary="Who you are to the services",
        tag="identity",
        answers=_json(schemas.ref("Me")),
    ),
    Route(
        method="POST",
        path="/runs",
        service="/accepted",
        summary="Run a cell as if all cells above it had just run from the top",
        tag="runs",
        status=202,
        also=(200,),
        body=schemas.ref("RunRequest"),
        long=True,
        headers=(NAMED,),
        answers=_json(schemas.ref("RunInfo")),
        problems=(409,),
    ),
    Route(
        method="GET",
        path="/runs",
        service="/accepted",
        summary="Your runs, newest first",
        tag="runs",
        query=(_LIMIT, _AFTER),
        answers=_json(schemas.ref("RunList")),
    ),
    Route(
        method="GET",
        path="/runs/{run}",
        service="/accepted/{run}",
        summary="How a run stands",
        tag="runs",
        answers=_json(schemas.ref("RunInfo")),
        problems=(404,),
    ),
    Route(
        method="POST",
        path="/runs/{run}/cancel",
        service="/accepted/{run}/cancel",
        summary="Cancel a run",
        tag="runs",
        answers=_json(schemas.ref("RunInfo")),
        problems=(404,),
    ),
    Route(
        method="GET",
        path="/runs/{run}/events",
        service="/accepted/{run}/events",
        summary="Follow a run, from its first event or from where you were",
        tag="runs",
        headers=(_EVENT,),
        answers={
            "application/x-ndjson": {"type": "string", "description": _LINES},
            "text/event-stream": {"type": "string"},
        },
        problems=(404,),
    ),
    Route(
        method="GET",
        path="/runs/{run}/result",
        service="/accepted/{run}/result",
        summary="What a run gave; it never changes",
        tag="results",
        also=(304,),
        answers=_json(schemas.ref("RunResult")),
        problems=(404, 409),
    ),
    *(
        Route(
            method="GET",
            path=f"/runs/{{run}}/results/{{statement}}.{form}",
            service=f"/accepted/{{run}}/results/{{statement}}.{form}",
            summary=f"The rows of one statement of a run's last head, as {name}",
            tag="results",
            also=(304,),
            answers=answers,
            problems=(*problems, 404, 409),
        )
        for form, name, answers, problems in _TABLES
    ),
    Route(
        method="POST",
        path="/plans",
        service="/plans",
        summary="What a run would do, and why, without doing it",
        tag="runs",
        body=schemas.ref("RunRequest"),
        long=True,
        answers=_json(schemas.ref("Plan")),
        problems=(503,),
    ),
    Route(
        method="POST",
        path="/pages",
        service="/pages",
        summary="Some rows of a long result, without a cursor held open",
        tag="results",
        body=schemas.ref("PageRequest"),
        long=True,
        answers=_json(schemas.ref("Page")),
        problems=(409, 503),
    ),
    Route(
        method="GET",
        path="/states",
        service="/states",
        summary="The snapshots of your sandbox",
        tag="states",
        answers=_json(schemas.ref("StateList")),
        problems=(503,),
    ),
    Route(
        method="GET",
        path="/states/{state}",
        service="/states/{state}",
        summary="The schema of a state that is kept",
        tag="states",
        also=(304,),
        answers=_json(schemas.ref("StateDetail")),
        problems=(404, 507),
    ),
    Route(
        method="GET",
        path="/states/{state}/diff/{other}",
        service="/states/{state}/diff/{other}",
        summary="What the second of two kept states has otherwise than the first: schema and rows",
        tag="states",
        also=(304,),
        answers=_json(schemas.ref("StateDiff")),
        problems=(409, 507),
    ),
    Route(
        method="PUT",
        path="/states/{state}/pin",
        service="/states/{state}/pin",
        summary="Keep a state from being evicted",
        tag="states",
        answers=_json(schemas.ref("StateInfo")),
        problems=(404,),
    ),
    Route(
        method="DELETE",
        path="/states/{state}/pin",
        service="/states/{state}/pin",
        summary="Let a state be evicted again",
        tag="states",
        status=204,
    ),
    Route(
        method="PUT",
        path="/states/{state}/tags/{tag}",
        service="/states/{state}/tags/{tag}",
        summary="Name a state, which is not evicted then; another that had the name loses it",
        tag="states",
        answers=_json(schemas.ref("StateInfo")),
        problems=(404,),
    ),
    Route(
        method="DELETE",
        path="/states/{state}/tags/{tag}",
        service="/states/{state}/tags/{tag}",
        summary="Take its name from a state",
        tag="states",
        status=204,
        problems=(404,),
    ),
    Route(
        method="GET",
        path="/environments",
        service="/environments",
        summary="Your sandboxes",
        tag="environments",
        answers=_json(schemas.ref("EnvironmentList")),
    ),
    Route(
        method="GET",
        path="/environments/{environment}",
        service="/environments/{environment}",
        summary="A sandbox of yours",
        tag="environments",
        answers=_json(schemas.ref("EnvironmentInfo")),
        problems=(404,),
    ),
    Route(
        method="POST",
        path="/environments/{environment}/stop",
        service="/environments/{environment}/stop",
        summary="Cancel what runs in a sandbox, and stop it; its states stay",
        tag="environments",
        answers=_json(schemas.ref("EnvironmentInfo")),
        problems=(404,),
    ),
    Route(
        method="POST",
        path="/environments/{environment}/restart",
        service="/environments/{environment}/restart",
        summary="Stop a sandbox and start it; the sandboxes there are then",
        tag="environments",
        answers=_json(schemas.ref("EnvironmentList")),
        problems=(404, 507),
    ),
    Route(
        method="POST",
        path="/environments/{environment}/reset",
        service="/environments/{environment}/reset",
        summary="Remove a sandbox with its states, pins and tags, and what was learned of them",
        tag="environments",
        status=204,
        body=schemas.ref("Confirmation"),
        problems=(404,),
    ),
    Route(
        method="GET",
        path="/files",
        service="/files",
        summary="Your files, by name",
        tag="files",
        query=PAGES,
        answers=_json(schemas.ref("FileList")),
    ),
    Route(
        method="POST",
        path="/files/missing",
        service="/files/missing",
        summary="Which chunks of a file have to be sent",
        tag="files",
        body=schemas.ref("Chunks"),
        answers=_json(schemas.ref("Missing")),
    ),
    Route(
        method="PUT",
        path="/files/chunks/{digest}",
        service="/files/chunks/{digest}",
        summary="Send a chunk of a file, named by its SHA-256",
        tag="files",
        binary=True,
        answers=_json({"type": "object"}),
        problems=(507,),
    ),
    Route(
        method="PUT",
        path="/files/names/{name}",
        service="/files/names/{name}",
        summary="Make a file of chunks",
        tag="files",
        body=schemas.ref("Chunks"),
        answers=_json(schemas.ref("File")),
        problems=(409, 507),
    ),
    Route(
        method="DELETE",
        path="/files/names/{name}",
        service="/files/names/{name}",
        summary="Remove a file",
        tag="files",
        status=204,
        problems=(404,),
    ),
)
#: What may go wrong with any request.
COMMON_PROBLEMS = (400, 401, 403, 404, 405, 408, 413, 429, 503)
