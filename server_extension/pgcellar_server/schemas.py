"""JSON schemas of what travels, made of the wire records themselves."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from pgcellar.api import catalogs, records
from pgcellar.notebook import showing

#: Members that only programs on the service's own machine may send.
_LOCAL = frozenset({"directory"})
_PLAIN: Mapping[Any, Mapping[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
}
#: What PostgreSQL and JSON can both hold.
TEXT: Mapping[str, Any] = {"type": "string"}
NUMBER: Mapping[str, Any] = {"type": "number"}
_RECORDS = (
    records.Cell,
    records.RunRequest,
    records.PageRequest,
    records.Order,
    records.Filter,
    records.RunInfo,
    records.SqlError,
    records.Plan,
    records.PlanStep,
    records.Page,
    records.Column,
    records.EnvironmentInfo,
    records.StateInfo,
    catalogs.StateDetail,
    catalogs.RelationInfo,
    catalogs.ColumnInfo,
    catalogs.PartInfo,
    catalogs.FunctionInfo,
    catalogs.ObjectInfo,
    catalogs.StateDiff,
    catalogs.ObjectChange,
    catalogs.MemberChange,
    catalogs.TableDiff,
    catalogs.RowChange,
    records.SandboxInfo,
    records.Totals,
    records.CellReport,
    records.Columns,
    records.Rows,
    records.Completed,
    showing.Explain,
    showing.Chart,
)


def ref(name: str) -> dict[str, Any]:
    """A reference to a schema among the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def components() -> dict[str, Any]:
    """Every schema by its name."""
    made = {cls.__name__: of_record(cls) for cls in _RECORDS}
    for name in ("RunRequest", "PageRequest"):
        asked = made[name]["properties"]
        asked["notebook"] |= {"minLength": 1, "maxLength": records.MAX_NOTEBOOK}
        asked["cells"] |= {"minItems": 1, "maxItems": records.MAX_CELLS}
        asked["parameters"] |= {"maxProperties": records.MAX_PARAMETERS}
        asked["parameters"]["additionalProperties"] |= {
            "maxLength": records.MAX_PARAMETER_CHARACTERS
        }
        for bound in ("head", "max_rows", "max_bytes", "statement", "offset", "limit"):
            if bound in asked:
                asked[bound]["minimum"] = 0
    made["Cell"]["properties"]["id"]["maxLength"] = 1_000
    for name in ("Order", "Filter"):
        made[name]["properties"]["column"]["minimum"] = 0
    made["RunRequest"]["properties"]["reroll"]["maxItems"] = records.MAX_CELLS
    made["Cell"]["properties"]["id"]["maxLength"] = records.MAX_ID
    made["RunRequest"]["properties"]["deadline"] = {
        "type": ["number", "null"],
        "exclusiveMinimum": 0,
        "maximum": 2_592_000,
        "description": "Seconds from when it begins after which the run is cancelled.",
    }
    asked = made["RunRequest"]
    asked["properties"]["document"] = {
        "type": "object",
        "description": "A notebook file (nbformat 4), in the place of `cells`; without a `head` all"
        " of its SQL cells run, and `head` may be a cell's id.",
    }
    asked["properties"]["head"] = {"anyOf": [asked["properties"]["head"], {"type": "string"}]}
    asked["required"] = ["notebook"]
    asked["anyOf"] = [{"required": ["cells", "head"]}, {"required": ["document"]}]
    return {**made, **_OTHERS}


def of_record(cls: type[Any]) -> dict[str, Any]:
    """The schema of a wire record; members this version does not know may come with it."""
    hints = typing.get_type_hints(cls)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for field in dataclasses.fields(cls):
        if field.name in _LOCAL:
            continue
        properties[field.name] = _of_type(hints[field.name])
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            required.append(field.name)
    summary = (cls.__doc__ or "").strip()
    return {
        "type": "object",
        "description": summary,
        "properties": properties,
        "required": required,
    }


def _of_type(hint: Any) -> dict[str, Any]:
    if hint in _PLAIN:
        return dict(_PLAIN[hint])
    if dataclasses.is_dataclass(hint):
        assert isinstance(hint, type)
        return ref(hint.__name__)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _of_type(arguments[0])}
    if origin in (types.UnionType, typing.Union):
        return {"anyOf": [_of_type(each) for each in arguments]}
    # What is left is a mapping of texts to texts.
    return {"type": "object", "additionalProperties": _of_type(arguments[1])}


def members(**properties: Any) -> dict[str, Any]:
    """An object with these members, and perhaps others."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def listed(of: Any) -> dict[str, Any]:
    """An array."""
    return {"type": "array", "items": of}


def nullable(of: Mapping[str, Any]) -> dict[str, Any]:
    """That, or null."""
    return {"anyOf": [of, {"type": "null"}]}


_DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_OTHERS: Mapping[str, Any] = {
    "Me": members(subject=TEXT, name=TEXT, kind=TEXT, roles=listed(TEXT), scopes=listed(TEXT)),
    "Tokens": {
        **members(access_token=TEXT, token_type=TEXT, expires_in={"type": "integer"}),
        "description": "An access token; with it, where one can be had, a refresh token.",
    },
    "TokenRequest": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "scopes": {
                **listed({"type": "string", "pattern": r"^(\*|[a-z]{1,20}(:[a-z]{1,20})?)$"}),
                "minItems": 1,
                "maxItems": 20,
            },
            "days": {"type": "integer", "minimum": 1, "maximum": 366},
        },
        "required": ["name", "scopes"],
    },
    "RunList": members(runs=listed(ref("RunInfo")), next={"type": ["string", "null"]}),
    "RunResult": members(
        run=TEXT,
        cells=listed(ref("CellReport")),
        totals=ref("Totals"),
        sandbox={"anyOf": [ref("SandboxInfo"), {"type": "null"}]},
        error={"anyOf": [ref("SqlError"), {"type": "null"}]},
    ),
    "StateList": members(states=listed(ref("StateInfo"))),
    "EnvironmentList": members(environments=listed(ref("EnvironmentInfo"))),
    "Confirmation": members(
        confirm={"type": "string", "description": "The sandbox's id: that it is really meant."}
    ),
    "Chunks": members(chunks={**listed(_DIGEST), "maxItems": 10_000}),
    "Missing": members(missing=listed(_DIGEST)),
    "File": members(name=TEXT, bytes={"type": "integer"}, sha256=_DIGEST),
    "FileList": members(
        files=listed(members(name=TEXT, bytes={"type": "integer"})), next=nullable(TEXT)
    ),
    "Problem": {
        "type": "object",
        "description": "What went wrong, where, and what to do (RFC 9457).",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string", "description": "A SQLSTATE, or one of ours: PC…"},
            "detail": {"type": "string"},
            "hint": {"type": ["string", "null"]},
        },
        "required": ["type", "title", "status", "code", "detail"],
    },
}
