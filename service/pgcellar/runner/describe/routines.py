"""Functions, aggregates, operators, event triggers: `\\df`, `\\da`, `\\do`, `\\dy`, `\\sf`, …"""

from __future__ import annotations

import re

from pgcellar.runner.describe import catalog, pattern, types

_FUNCTION = pattern.Target(
    name="p.proname", schema="n.nspname", visible="pg_function_is_visible(p.oid)", parts=3
)
_OPERATOR = pattern.Target(
    name="o.oprname", schema="n.nspname", visible="pg_operator_is_visible(o.oid)", parts=3
)
_TRIGGER = "p.prorettype = 'pg_catalog.trigger'::regtype"
_KINDS = {
    "a": "p.prokind = 'a'",
    "p": "p.prokind = 'p'",
    "w": "p.prokind = 'w'",
    "t": _TRIGGER,
    "n": f"not ({catalog.kinds('p.prokind', 'apw')} or {_TRIGGER})",
}
#: A function's body begins with one of these; psql counts its lines from there.
_BODY = re.compile(r"AS |BEGIN |RETURN ")
_MAX_ARGUMENTS = 100
_KIND = catalog.choice("p.prokind", ("a", "agg"), ("w", "window"), ("p", "proc"), other="'func'")
_VOLATILITY = catalog.choice(
    "p.provolatile", ("i", "immutable"), ("s", "stable"), ("v", "volatile")
)
_PARALLEL = catalog.choice("p.proparallel", ("r", "restricted"), ("s", "safe"), ("u", "unsafe"))


async def functions(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\df`, of aggregates, normal functions, procedures, triggers, window functions (`anptw`)."""
    letters = set(request.command[2:]) & _KINDS.keys()
    kinds = " or ".join(_KINDS[letter] for letter in sorted(letters))
    items = [
        ("Schema", "n.nspname"),
        ("Name", "p.proname"),
        ("Result data type", "pg_get_function_result(p.oid)"),
        ("Argument data types", "pg_get_function_arguments(p.oid)"),
        ("Type", _KIND),
    ]
    source = "from pg_proc p left join pg_namespace n on n.oid = p.pronamespace"
    if request.verbose:
        items += [
            ("Volatility", _VOLATILITY),
            ("Parallel", _PARALLEL),
            ("Owner", catalog.owner("p.proowner")),
            ("Security", "case when p.prosecdef then 'definer' else 'invoker' end"),
            ("Leakproof?", catalog.yes("p.proleakproof")),
            ("Access privileges", catalog.acl("p.proacl")),
            ("Language", "l.lanname"),
            (
                "Internal name",
                "case when l.lanname = 'internal' or l.lanname = 'c' then p.prosrc end",
            ),
            ("Description", "obj_description(p.oid, 'pg_proc')"),
        ]
        source += " left join pg_language l on l.oid = p.prolang"
    conditions = [f"({kinds})" if kinds else None]
    for index, text in enumerate(request.arguments[1:_MAX_ARGUMENTS]):
        join, condition = _argument(reader, text, index, f"p.proargtypes[{index}]")
        source += join
        conditions.append(condition)
    conditions.append(catalog.own_schema("n.nspname") if request.unfiltered else None)
    source += f" {reader.where(request.pattern, _FUNCTION, *conditions)}"
    return [await reader.listing("List of functions", items, source, "1, 2, 4")]


def _argument(reader: catalog.Catalog, text: str, index: int, number: str) -> tuple[str, str]:
    """A join with an argument's type, and the condition that the pattern `text` puts on it."""
    alias = f"t{index}"
    join = (
        f" left join pg_type {alias} on {alias}.oid = {number}"
        f" left join pg_namespace n{alias} on n{alias}.oid = {alias}.typnamespace"
    )
    if text == "-":
        # No more arguments than those.
        return join, f"{alias}.typname is null"
    target = types.target(alias, f"n{alias}")
    found = reader.where(types.named(text), target, clause="")
    return join, found.strip() or "true"


async def aggregates(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\da`."""
    items = [
        ("Schema", "n.nspname"),
        ("Name", "p.proname"),
        ("Result data type", "format_type(p.prorettype, null)"),
        (
            "Argument data types",
            "case when p.pronargs = 0 then '*' else pg_get_function_arguments(p.oid) end",
        ),
        ("Description", "obj_description(p.oid, 'pg_proc')"),
    ]
    condition = reader.where(
        request.pattern,
        _FUNCTION,
        "p.prokind = 'a'",
        catalog.own_schema("n.nspname") if request.unfiltered else None,
    )
    source = f"from pg_proc p left join pg_namespace n on n.oid = p.pronamespace {condition}"
    return [await reader.listing("List of aggregate functions", items, source, "1, 2, 4")]


async def operators(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\do`, with the types of one operand of a prefix operator, or of both operands."""
    items = [
        ("Schema", "n.nspname"),
        ("Name", "o.oprname"),
        ("Left arg type", "case when o.oprkind <> 'l' then format_type(o.oprleft, null) end"),
        ("Right arg type", "case when o.oprkind <> 'r' then format_type(o.oprright, null) end"),
        ("Result type", "format_type(o.oprresult, null)"),
    ]
    source = "from pg_operator o left join pg_namespace n on n.oid = o.oprnamespace"
    if request.verbose:
        items += [("Function", "o.oprcode"), ("Leakproof?", catalog.yes("f.proleakproof"))]
        source += " left join pg_proc f on f.oid = o.oprcode"
    items.append(
        (
            "Description",
            "coalesce(obj_description(o.oid, 'pg_operator'),"
            " obj_description(o.oprcode, 'pg_proc'))",
        )
    )
    operands = request.arguments[1:3]
    conditions = ["o.oprleft = 0"] if len(operands) == 1 else []
    for index, text in enumerate(operands):
        side = "o.oprright" if len(operands) == 1 or index else "o.oprleft"
        join, condition = _argument(reader, text, index, side)
        source += join
        conditions.append(condition)
    if request.unfiltered:
        conditions.append(catalog.own_schema("n.nspname"))
    source += f" {reader.where(request.pattern, _OPERATOR, *conditions)}"
    return [await reader.listing("List of operators", items, source, "1, 2, 3, 4")]


async def event_triggers(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dy`."""
    enabled = catalog.choice(
        "e.evtenabled", ("O", "enabled"), ("R", "replica"), ("A", "always"), ("D", "disabled")
    )
    items = [
        ("Name", "e.evtname"),
        ("Event", "e.evtevent"),
        ("Owner", catalog.owner("e.evtowner")),
        ("Enabled", enabled),
        ("Function", "e.evtfoid::regproc"),
        ("Tags", "array_to_string(e.evttags, ', ')"),
    ]
    if request.verbose:
        items.append(("Description", "obj_description(e.oid, 'pg_event_trigger')"))
    condition = reader.where(request.pattern, pattern.Target(name="e.evtname"))
    source = f"from pg_event_trigger e {condition}"
    return [await reader.listing("List of event triggers", items, source, "1")]


async def function_source(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\sf`. Raises StatementFailed where there is no such function, or more than one."""
    name = (request.pattern or "").rstrip("; \t")
    if not name:
        raise catalog.failed("function name is required", "\\sf NAME, or \\sf NAME(TYPES)")
    kind = "regprocedure" if "(" in name else "regproc"
    rows = await reader.rows(f"select pg_get_functiondef({pattern.literal(name)}::{kind}::oid)")
    text = (rows[0][0] or "") if rows else ""
    return [_numbered(text, body=True) if request.verbose else text]


async def view_source(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\sv`. Raises StatementFailed where there is no such view."""
    name = (request.pattern or "").rstrip("; \t")
    if not name:
        raise catalog.failed("view name is required", "\\sv NAME")
    rows = await reader.rows(
        "select n.nspname, c.relname, c.relkind, pg_get_viewdef(c.oid, true),"
        " (quote_ident(n.nspname) || '.') || quote_ident(c.relname),"
        " array_to_string(array(select (quote_ident(o.option_name) || '=') ||"
        " case when quote_ident(o.option_value) = o.option_value then o.option_value"
        " else quote_literal(o.option_value) end from pg_options_to_table(c.reloptions) o"
        " where o.option_name <> 'check_option'), ', '),"
        " (select upper(substr(o, 14)) from unnest(c.reloptions) o where o ~ '^check_option=')"
        " from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        f" where c.oid = {pattern.literal(name)}::regclass::oid"
    )
    if not rows:
        raise catalog.failed(f'relation "{name}" does not exist')
    schema, relation, kind, definition, quoted, options, check = rows[0]
    if kind != "v":
        raise catalog.failed(f'"{schema}.{relation}" is not a view')
    given = f"\n WITH ({options})" if options else ""
    text = f"CREATE OR REPLACE VIEW {quoted}{given} AS\n{(definition or '').removesuffix(';')}"
    if check:
        text += f"\n WITH {check} CHECK OPTION"
    return [_numbered(text, body=False) if request.verbose else text]


def _numbered(text: str, *, body: bool) -> str:
    """The text with numbers before its lines; `body`: those of a function's body alone."""
    out: list[str] = []
    number = 0
    for line in text.removesuffix("\n").split("\n"):
        number += 1 if number or not body or _BODY.match(line) else 0
        out.append(f"{number:<7} {line}" if number else f"        {line}")
    return "\n".join(out)
