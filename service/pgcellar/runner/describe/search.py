"""Text search: `\\dF`, `\\dFd`, `\\dFp`, `\\dFt`."""

from __future__ import annotations

from pgcellar.runner.describe import catalog, pattern

_METHODS = (
    ("Start parse", "prsstart"),
    ("Get next token", "prstoken"),
    ("End parse", "prsend"),
    ("Get headline", "prsheadline"),
    ("Get token types", "prslextype"),
)


async def configurations(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dF`, and `\\dF+` for the dictionaries of each."""
    target = pattern.Target(
        name="c.cfgname", schema="n.nspname", visible="pg_ts_config_is_visible(c.oid)", parts=3
    )
    source = (
        "from pg_ts_config c left join pg_namespace n on n.oid = c.cfgnamespace"
        " left join pg_ts_parser p on p.oid = c.cfgparser"
        " left join pg_namespace np on np.oid = p.prsnamespace"
        f" {reader.where(request.pattern, target)}"
    )
    if not request.verbose:
        description = "obj_description(c.oid, 'pg_ts_config')"
        return await _listed(reader, "configurations", "c.cfgname", description, source)
    rows = await reader.rows(
        f"select c.oid, n.nspname, c.cfgname, np.nspname, p.prsname {source} order by 2, 3"
    )
    if not rows:
        return [_missing("configuration", request.pattern)]
    tokens = await reader.ask(*(_TOKENS.format(oid=row[0]) for row in rows))
    return [
        catalog.Table(
            title=f'Text search configuration "{row[1]}.{row[2]}"\nParser: "{row[3]}.{row[4]}"',
            columns=("Token", "Dictionaries"),
            rows=tuple(found),
            counted=False,
        )
        for row, found in zip(rows, tokens, strict=True)
    ]


_TOKENS = """
select t.alias, string_agg(m.mapdict::regdictionary::text, ', ' order by m.mapseqno)
from pg_ts_config_map m join pg_ts_config c on c.oid = m.mapcfg
join lateral ts_token_type(c.cfgparser) t on t.tokid = m.maptokentype
where c.oid = {oid} group by t.alias order by 1
"""


async def dictionaries(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dFd`."""
    target = pattern.Target(
        name="d.dictname", schema="n.nspname", visible="pg_ts_dict_is_visible(d.oid)", parts=3
    )
    more = []
    if request.verbose:
        template = "(coalesce(nt.nspname, '(null)') || '.') || t.tmplname"
        more = [("Template", template), ("Init options", "d.dictinitoption")]
    source = (
        "from pg_ts_dict d left join pg_namespace n on n.oid = d.dictnamespace"
        " left join pg_ts_template t on t.oid = d.dicttemplate"
        " left join pg_namespace nt on nt.oid = t.tmplnamespace"
        f" {reader.where(request.pattern, target)}"
    )
    description = "obj_description(d.oid, 'pg_ts_dict')"
    return await _listed(reader, "dictionaries", "d.dictname", description, source, *more)


async def templates(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dFt`."""
    target = pattern.Target(
        name="t.tmplname",
        schema="n.nspname",
        visible="pg_ts_template_is_visible(t.oid)",
        parts=3,
    )
    more = []
    if request.verbose:
        more = [("Init", "t.tmplinit::regproc"), ("Lexize", "t.tmpllexize::regproc")]
    source = (
        "from pg_ts_template t left join pg_namespace n on n.oid = t.tmplnamespace"
        f" {reader.where(request.pattern, target)}"
    )
    description = "obj_description(t.oid, 'pg_ts_template')"
    return await _listed(reader, "templates", "t.tmplname", description, source, *more)


async def parsers(reader: catalog.Catalog, request: catalog.Request) -> catalog.Shown:
    """`\\dFp`, and `\\dFp+` for the methods and tokens of each."""
    target = pattern.Target(
        name="p.prsname", schema="n.nspname", visible="pg_ts_parser_is_visible(p.oid)", parts=3
    )
    source = (
        "from pg_ts_parser p left join pg_namespace n on n.oid = p.prsnamespace"
        f" {reader.where(request.pattern, target)}"
    )
    if not request.verbose:
        description = "obj_description(p.oid, 'pg_ts_parser')"
        return await _listed(reader, "parsers", "p.prsname", description, source)
    values = ", ".join(f"p.{name}, obj_description(p.{name}, 'pg_proc')" for _, name in _METHODS)
    rows = await reader.rows(f"select p.oid, n.nspname, p.prsname, {values} {source} order by 2, 3")
    if not rows:
        return [_missing("parser", request.pattern)]
    out: catalog.Shown = []
    tokens = await reader.ask(
        *(
            f"select t.alias, t.description from ts_token_type({row[0]}) t order by 1"
            for row in rows
        )
    )
    for row, found in zip(rows, tokens, strict=True):
        _, schema, name, *methods = row
        pairs = zip(methods[::2], methods[1::2], strict=True)
        out.append(
            catalog.Table(
                title=f'Text search parser "{schema}.{name}"',
                columns=("Method", "Function", "Description"),
                rows=tuple(
                    (called, *pair) for (called, _), pair in zip(_METHODS, pairs, strict=True)
                ),
                counted=False,
            )
        )
        out.append(
            catalog.Table(
                title=f'Token types for parser "{schema}.{name}"',
                columns=("Token name", "Description"),
                rows=tuple(found),
            )
        )
    return out


async def _listed(
    reader: catalog.Catalog,
    called: str,
    name: str,
    description: str,
    source: str,
    *more: catalog.Item,
) -> catalog.Shown:
    items = [("Schema", "n.nspname"), ("Name", name), *more, ("Description", description)]
    return [await reader.listing(f"List of text search {called}", items, source, "1, 2")]


def _missing(called: str, text: str | None) -> str:
    if text is None:
        return f"Did not find any text search {called}s."
    return f'Did not find any text search {called} named "{text}".'
