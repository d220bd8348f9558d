"""What lineage is told in: objects by name, how they are used, and what their use brings along.

A use is an object and how it is used. Beside what a statement does by itself (its uses) stands what
it makes others do (its links): who reads a view reads its tables, who inserts into a table fires
its triggers. Names are compared as far as they are known without a catalog: one that is not
qualified may stand in any schema.
"""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple

from pglast import error, parser

from pgcellar.notebook import statements

Kind = Literal["relation", "function", "type", "other"]
Verb = Literal["create", "alter", "drop"]
Node = dict[str, Any]


class Mode(enum.IntEnum):
    """How an object is used.

    REFER: a definition names it, so that it can't be dropped, but nothing is run. DEFINE: it is
    made, changed or dropped itself. CHANGE is any change of content that is no INSERT.
    """

    READ = 0
    REFER = 1
    INSERT = 2
    CHANGE = 3
    DEFINE = 4

    # Uses are looked up by the thousand, and that of enumerations is slow.
    __hash__ = int.__hash__


class Ref(NamedTuple):
    """An object by name; `schema` is "" where it isn't said, `column` where all of it is meant."""

    name: str
    schema: str = ""
    column: str = ""

    def __str__(self) -> str:
        return ".".join(part for part in (self.schema, self.name, self.column) if part)

    def may_be(self, other: Ref) -> bool:
        """Whether both may name one object."""
        return self.name == other.name and (
            not self.schema or not other.schema or self.schema == other.schema
        )


#: Everything there is. No name of an object is empty, so these meet nothing else.
ANYTHING = Ref(schema="*", name="")
#: Settings, role and whatever else stays with the connection: every statement reads it.
SESSION = Ref(schema="session", name="")
#: The generator behind random(), which setseed() makes a function of what was drawn before.
RANDOM = Ref(schema="random()", name="")
#: Files at the client's end.
FILES = Ref(schema="files", name="")
#: psql's variables.
VARIABLES = Ref(schema="variables", name="")
#: Views, triggers and the like of which nothing is known.
HIDDEN = Ref(schema="hidden", name="")
SPECIAL = frozenset({ANYTHING, SESSION, RANDOM, FILES, VARIABLES, HIDDEN})


class Use(NamedTuple):
    """One object and how it is used.

    `call`: as a function that PostgreSQL does not bring along, so unless its body is known it may
    do anything. `guess`: the name may as well mean something else (a built-in function, a word).
    """

    ref: Ref
    mode: Mode = Mode.READ
    kind: Kind = "relation"
    verb: Verb | None = None
    call: bool = False
    guess: bool = False


class Link(NamedTuple):
    """Who uses `of` in the mode `low` or a higher one uses `to` as well.

    `same`: in the mode in which `of` is used, instead of its own.
    """

    of: Ref
    to: Use
    low: Mode = Mode.READ
    same: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Uses:
    """What a statement uses and the links it makes.

    `transaction`: whether a transaction block is open afterwards; None if that does not change.
    `columns` are those of tables that it creates, in order.
    """

    uses: frozenset[Use] = frozenset()
    links: tuple[Link, ...] = ()
    transaction: bool | None = None
    columns: tuple[tuple[Ref, tuple[str, ...]], ...] = ()


#: Any content may be read and changed.
EVERYTHING = (Use(ref=ANYTHING), Use(ref=ANYTHING, mode=Mode.CHANGE))
#: So it is, and views, triggers and functions may be made that no text shows.
UNKNOWN = (*EVERYTHING, Use(ref=HIDDEN, mode=Mode.CHANGE))
CASCADING = Uses(uses=frozenset(EVERYTHING))
OPAQUE = Uses(uses=frozenset(UNKNOWN))
CATALOG = Use(ref=ANYTHING)
SESSION_READ = Use(ref=SESSION, kind="other")
SESSION_CHANGED = Use(ref=SESSION, mode=Mode.CHANGE, kind="other")
RANDOM_USES = (
    Use(ref=RANDOM, kind="other"),
    Use(ref=RANDOM, mode=Mode.CHANGE, kind="other"),
)

#: What a statement of one kind uses, by its node. Raises KeyError, TypeError or AttributeError
#: where that is not as expected.
Handler = Callable[[Node], Uses]


# --- names in parse trees ---


def relation(node: Node) -> Ref:
    return Ref(schema=node.get("schemaname", ""), name=node["relname"])


def strings(nodes: Iterable[Node]) -> list[str]:
    return [node["String"].get("sval", "") for node in nodes if "String" in node]


def ref_of(nodes: Iterable[Node]) -> Ref:
    *schema, name = strings(nodes)
    return Ref(schema=schema[-1] if schema else "", name=name)


def literal_of(node: Node) -> str | None:
    """The text of a string literal, also where it is cast; None where it is none."""
    while "TypeCast" in node:
        node = node["TypeCast"]["arg"]
    value: str | None = node.get("A_Const", {}).get("sval", {}).get("sval")
    return value


def parsed_name(text: str | None) -> Ref | None:
    """The name in a literal like 'public."S"'."""
    if text is None or not statements.readable(text):
        return None
    try:
        tree = json.loads(parser.parse_sql_json(f"table {text}"))["stmts"]
        (source,) = tree[0]["stmt"]["SelectStmt"]["fromClause"]
        return relation(source["RangeVar"])
    except (error.Error, ValueError, KeyError):
        return None


def found_in(tree: Any, kind: str) -> Iterator[Node]:
    """Every node of a kind."""
    stack = [tree]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if kind in value:
                yield value[kind]
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)


def relations(tree: Any) -> Iterator[Node]:
    stack = [tree]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if "relname" in value:
                yield value
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)


# --- definitions ---


def referred(uses: Iterable[Use]) -> frozenset[Use]:
    """The same objects, only named."""
    return frozenset(use._replace(mode=Mode.REFER, call=False) for use in uses)


def define(ref: Ref, verb: Verb | None, kind: Kind = "relation") -> Use:
    return Use(ref=ref, mode=Mode.DEFINE, kind=kind, verb=verb)


def in_schema(ref: Ref) -> frozenset[Use]:
    if not ref.schema:
        return frozenset()
    return frozenset({Use(ref=Ref(name=ref.schema), kind="other", guess=True)})


def linked(
    of: Ref, uses: Iterable[Use], low: Mode = Mode.READ, *, same: bool = False
) -> tuple[Link, ...]:
    return tuple(Link(of=of, to=use, low=low, same=same) for use in uses)


def alias(one: Ref, other: Ref, kind: Kind = "relation") -> tuple[Link, ...]:
    """Both names mean one object: what was said of either holds for both."""
    call = kind == "function"
    return tuple(
        Link(of=of, to=Use(ref=to, kind=kind, call=call), same=True)
        for of, to in ((one, other), (other, one))
    )


def made(ref: Ref, uses: frozenset[Use], kind: Kind = "relation") -> Uses:
    """An object was created, of which every use means these."""
    own = referred(uses) | {define(ref, "create", kind)} | in_schema(ref)
    return Uses(uses=own, links=linked(ref, uses))
