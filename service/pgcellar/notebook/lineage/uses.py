"""What a statement uses, by its text. Whatever is not understood uses everything, in every way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable

from pglast import error, parser

from pgcellar.notebook import patterns, statements
from pgcellar.notebook.lineage import bodies, commands, definitions, tables
from pgcellar.notebook.lineage.objects import (
    ANYTHING,
    CATALOG,
    OPAQUE,
    UNKNOWN,
    Mode,
    Node,
    Ref,
    Use,
    Uses,
    made,
    ref_of,
    strings,
)
from pgcellar.notebook.lineage.queries import calls, collect

#: Bodies within bodies within …
_MAX_DEPTH = 5
#: INSERT … VALUES of nothing but literals: too long to be parsed for what its first line tells.
_BULK = patterns.compile(
    r"(?P<head>\s*insert\s+into\s+[\w.\"\s]+(?:\([\w\",\s]*\)\s*)?)\bvalues\b"
    r"(?:[\s(),;]++|[-+]?[\d.]++(?:e[-+]?\d+)?|'[^'\\]*+'|null\b|true\b|false\b|default\b)*+\Z",
    re.IGNORECASE,
)


def of_statement(text: str, depth: int = 0) -> Uses:
    """What one SQL statement uses. Never raises: what can't be read may use anything.

    `depth`: it stands within so many bodies of functions.
    """
    if len(text) > statements.LONG_TEXT:
        match = _BULK.match(text)
        if match is None:
            return OPAQUE
        text = f"{match['head']} values (null)"
    try:
        parsed = json.loads(parser.parse_sql_json(text))["stmts"]
        if len(parsed) != 1:
            return OPAQUE
        return of_tree(parsed[0]["stmt"], depth)
    except (error.Error, RecursionError, ValueError, KeyError, TypeError, AttributeError):
        # A tree that is not as expected is not understood.
        return OPAQUE


def of_tree(tree: Node, depth: int = 0) -> Uses:
    """What the parse tree `{"SelectStmt": {…}}` uses. Raises KeyError, TypeError or AttributeError
    where it is not as expected.
    """
    ((kind, node),) = tree.items()
    if kind in _QUERIES:
        return Uses(uses=collect(tree))
    if kind in _PLAIN:
        return Uses()
    if kind in _NESTING:
        return OPAQUE if depth > _MAX_DEPTH else _NESTING[kind](node, depth)
    handler = _HANDLERS.get(kind)
    return OPAQUE if handler is None else handler(node)


def _function(node: Node, depth: int) -> Uses:
    ref = ref_of(node["funcname"])
    inner = set(collect(node.get("parameters", [])))
    inner |= collect(node.get("returnType", {}))
    inner.update(body(node, depth))
    return made(ref, frozenset(inner), "function")


def body(node: Node, depth: int) -> Iterable[Use]:
    """What the body of a CREATE FUNCTION or DO uses when it runs."""
    elements = [e["DefElem"] for e in node.get("options") or node.get("args") or ()]
    options = {element["defname"]: element.get("arg", {}) for element in elements}
    settings = options.get("set", {})
    uses = set(collect(settings))
    if "sql_body" in node:
        # It holds queries only.
        return uses | collect(node["sql_body"])
    language = options.get("language", {}).get("String", {}).get("sval", "plpgsql")
    source = options.get("as", {})
    texts = strings(source["List"]["items"] if "List" in source else [source])
    if len(texts) != 1 or language.lower() not in ("sql", "plpgsql") or depth >= _MAX_DEPTH:
        return UNKNOWN
    if language.lower() == "sql":
        return uses | _texts([s.text for s in statements.split(texts[0])], depth)
    found = bodies.plpgsql(texts[0])
    if found is None:
        return UNKNOWN
    uses |= _texts(found.executes, depth)
    for schema, name in found.writes:
        uses.add(Use(ref=Ref(schema=schema, name=name), mode=Mode.CHANGE))
    for schema, name in found.reads:
        uses.add(Use(ref=Ref(schema=schema, name=name)))
    for schema, name, literal in found.calls:
        uses.update(calls(Ref(schema=schema, name=name), literal))
    uses.update(Use(ref=Ref(name=word), guess=True) for word in found.words)
    if found.catalog:
        uses.add(CATALOG)
    return uses


def _texts(texts: Iterable[str], depth: int) -> set[Use]:
    """What statements in a body use; one that defines something is not followed further."""
    uses: set[Use] = set()
    for text in texts:
        found = of_statement(text, depth + 1)
        uses.update(UNKNOWN if found.links or found.transaction is not None else found.uses)
    return uses


def _do(node: Node, depth: int) -> Uses:
    return Uses(uses=frozenset(body(node, depth)))


def _explain(node: Node, depth: int) -> Uses:
    options = [option["DefElem"]["defname"] for option in node.get("options", ())]
    uses = of_tree(node["query"], depth).uses
    if "analyze" in options:
        return Uses(uses=uses)
    return Uses(
        uses=frozenset(
            use if use.call or use.ref == ANYTHING else use._replace(mode=Mode.READ) for use in uses
        )
    )


_QUERIES = frozenset(
    {"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "ExecuteStmt"}
)
_PLAIN = frozenset({"VariableShowStmt", "CheckPointStmt"})
_HANDLERS = {**tables.HANDLERS, **definitions.HANDLERS, **commands.HANDLERS}
#: Statements with statements inside.
_NESTING: dict[str, Callable[[Node, int], Uses]] = {
    "CreateFunctionStmt": _function,
    "DoStmt": _do,
    "ExplainStmt": _explain,
}
