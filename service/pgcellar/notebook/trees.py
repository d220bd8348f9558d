"""The parse tree of a statement, as PostgreSQL's own parser gives it.

Most questions about a tree are whether something stands in it anywhere, and the answer nearly
always is no. Its text tells that without a walk; what it can't rule out the walk decides.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from pglast import error, parser


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """One statement: the type of its node, the node, and the whole as JSON.

    All are empty where the grammar, or its depth, gives out.
    """

    kind: str
    node: dict[str, Any]
    text: str

    def may_hold(self, *members: str) -> bool:
        """Whether one of these may be a member of a node of it: if not, none is."""
        return any(f'"{member}":' in self.text for member in members)


def of(text: str) -> Tree:
    """The tree of a text, if that is one statement."""
    try:
        found = parser.parse_sql_json(text)
        parsed = json.loads(found)["stmts"]
    except (error.Error, RecursionError, ValueError, KeyError):
        return unread("")
    if len(parsed) != 1 or not parsed[0].get("stmt"):
        return unread("")
    ((kind, node),) = parsed[0]["stmt"].items()
    return Tree(kind=kind, node=node, text=found)


def unread(kind: str) -> Tree:
    """A statement that is not parsed; what kind it is may be known all the same."""
    return Tree(kind=kind, node={}, text="")


def members(node: Any) -> Iterator[tuple[str, Any]]:
    """Every member of a node and of what stands in it, and its value."""
    return ((key, value) for _, key, value in nested_members(node))


def nested_members(node: Any) -> Iterator[tuple[str, str, Any]]:
    """Every (name of the enclosing member, member, value) of a node, without recursion."""
    stack: list[tuple[str, Any]] = [("", node)]
    while stack:
        parent, value = stack.pop()
        if isinstance(value, dict):
            for key, child in value.items():
                yield parent, key, child
                stack.append((key, child))
        elif isinstance(value, list):
            stack.extend((parent, child) for child in value)


def literals(node: Any) -> Iterator[str]:
    """The values of the text literals in a node."""
    return (value for parent, key, value in nested_members(node) if parent == key == "sval")


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    """A node and every one that stands in it, but for literals, of which there may be many."""
    stack: list[Any] = [node]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, dict) and "A_Const" not in value:
            yield value
            stack.extend(value.values())
