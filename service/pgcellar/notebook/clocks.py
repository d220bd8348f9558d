"""What hangs on more than the state: clocks, chance, places of rows, numbers of processes.

Dates and times read some words as the clock: `'now'::date`. The words stand in the statement, or
come from data: then somebody has put them there, by a statement or a file that says them, or put
them together (`'n' || 'ow'`). So a conversion of data counts where something above may have done
that, and nowhere else: loading texts and converting them to dates is what everybody does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pgcellar.notebook import trees

#: The words, whatever stands around them but letters.
_WORDS = r"(?<![a-z])(?:now|today|tomorrow|yesterday)(?![a-z])"
#: A literal that spells its characters by number may say anything.
_SPELLED = r"\be'[^']*\\[xu0-7]|\bu&'|\\u[0-9a-f]{4}"
_SAYS = re.compile(rf"{_WORDS}|{_SPELLED}", re.IGNORECASE)
#: Within a literal that is written in two parts nothing stands.
_CONTINUED = re.compile(r"'\s*\n\s*'")
#: Before a letter of no meaning of its own a backslash may stand, in E'' and in COPY's data.
_BLANK = re.compile(r"\\[bfnrtv]")
#: A large object without a number of one's own gets one by chance.
_NUMBERED = r"\s*\(\s*0*[1-9]\d*\s*[,)]"
#: Without a zone of its own a text is given that of today: in summer another one than in winter.
_ZONED_TIME = r"timetz|time\s+(?:\(\s*\d+\s*\)\s*)?with\s+time\s+zone"
_VOLATILE = re.compile(
    r"\b(?:current_timestamp|current_date|current_time|localtime|localtimestamp"
    r"|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|random"
    r"|random_normal|normal_rand|array_shuffle|array_sample|gen_random_uuid|gen_random_bytes"
    r"|gen_salt|pgp_(?:sym|pub)_encrypt\w*|uuidv4|uuidv7|uuid_generate_v\w+|txid_\w+"
    r"|pg_(?:current|last|wal|control|lock|xact|snapshot|visible_in|export|ls|blocking)\w*"
    r"|pg_backend_pid|pg_postmaster_start_time|pg_conf_load_time|pg_timezone\w*|pg_stat\w*"
    r"|pg_relation_file\w+|pg_\w+_size|rel(?:filenode|pages|tuples|frozenxid|minmxid)"
    r"|dat(?:frozenxid|minmxid)|mxid_age|inet_(?:client|server)_\w+"
    r"|(?:query|table|schema|database|cursor)_to_xml\w*"
    rf"|lo_creat\b|lo_import|lo_create(?!{_NUMBERED})|lo_from_bytea(?!{_NUMBERED})"
    rf"|ctid|xmin|xmax|cmin|cmax|tableoid|oid|current_query|tablesample|{_ZONED_TIME})\b"
    # U&"…" may spell any of them.
    r"|\bage\s*\(|\bu&\""
    # A file with other marks than CSV's may hide a word among them.
    r"|\bquote\s+(?:as\s+)?e?'(?!\"')",
    re.IGNORECASE,
)
#: What shows more than the state: clocks, who asks, numbers given by chance, places of rows.
_IMPURE = re.compile(
    r"\b(?:current_\w+|localtime\w*|session_user|system_user|user"
    r"|tablesample|ctid|xmin|xmax|cmin|cmax|tableoid|oid|reg[a-z]+|pg_\w+|information_schema"
    rf"|{_ZONED_TIME})\b",
    re.IGNORECASE,
)

#: Types whose input takes no text for the clock, a role or an object.
_PLAIN_TYPES = frozenset(
    {
        "bool", "int2", "int4", "int8", "numeric", "float4", "float8", "text", "varchar", "bpchar",
        "char", "bytea", "json", "jsonb", "uuid", "interval", "bit", "varbit", "point", "inet",
        "cidr", "xml",
    }
)  # fmt: skip
#: … nor for the clock.
_TIMELESS_TYPES = _PLAIN_TYPES | frozenset(
    {
        "name", "money", "line", "lseg", "box", "path", "polygon", "circle", "macaddr", "macaddr8",
        "tsvector", "tsquery", "int4range", "int8range", "numrange", "int4multirange",
        "int8multirange", "nummultirange", "oid", "regclass", "regproc", "regprocedure", "regoper",
        "regoperator", "regtype", "regrole", "regnamespace", "regconfig", "regdictionary",
        "regcollation", "pg_lsn", "jsonpath", "void", "record", "serial", "bigserial",
        "smallserial", "trigger", "event_trigger", "anyelement", "anyarray",
    }
)  # fmt: skip
_CLOCK_TYPES = frozenset({"date", "time", "timetz", "timestamp", "timestamptz"})
#: Functions that make rows of whatever types by reading texts.
_READERS = re.compile(r"jsonb?_populate_|hstore_|populate_record|.*_in$|timezone$")
#: In the body of a function or a DO block: types of dates or times, and statements put together.
_BODY_READS = re.compile(
    r"\b(?:date|time|timetz|timestamp|timestamptz|execute)\b|%\s*(?:row)?type\b",
    re.IGNORECASE,
)
#: Functions that put no text together out of others. With another one a text may come about that
#: stands nowhere.
_WHOLE = frozenset(
    {
        "abs", "acos", "asin", "atan", "atan2", "cbrt", "ceil", "ceiling", "cos", "degrees", "div",
        "exp", "factorial", "floor", "gcd", "lcm", "ln", "log", "log10", "mod", "pi", "pow",
        "power", "radians", "round", "scale", "sign", "sin", "sqrt", "tan", "trim_scale", "trunc",
        "width_bucket",
        "any_value", "array_agg", "avg", "bit_and", "bit_or", "bool_and", "bool_or", "corr",
        "count", "covar_pop", "covar_samp", "cume_dist", "dense_rank", "every", "first_value",
        "grouping", "json_agg", "jsonb_agg", "lag", "last_value", "lead", "max", "min", "mode",
        "nth_value", "ntile", "percent_rank", "percentile_cont", "percentile_disc", "rank",
        "regr_intercept", "regr_r2", "regr_slope", "row_number", "stddev", "stddev_pop",
        "stddev_samp", "sum", "var_pop", "var_samp", "variance",
        "array_length", "array_position", "ascii", "bit_length", "cardinality", "char_length",
        "currval", "date", "date_bin", "date_part", "date_trunc", "extract", "generate_series",
        "generate_subscripts", "isfinite", "json_array_elements",
        "json_array_elements_text", "json_each", "json_each_text", "json_extract_path",
        "json_extract_path_text", "json_populate_record", "json_populate_recordset",
        "json_to_record", "json_to_recordset", "jsonb_array_elements",
        "jsonb_array_elements_text", "jsonb_each", "jsonb_each_text", "jsonb_extract_path",
        "jsonb_extract_path_text", "jsonb_populate_record", "jsonb_populate_recordset",
        "jsonb_to_record", "jsonb_to_recordset",
        "justify_days", "justify_hours", "justify_interval",
        "lastval", "length", "lower", "make_date", "make_interval", "make_time", "make_timestamp",
        "make_timestamptz", "nextval", "octet_length", "overlaps", "pg_get_serial_sequence",
        "pg_sleep", "position", "setval", "strpos", "timezone", "to_date", "to_number",
        "to_timestamp", "unnest", "upper",
    }
)  # fmt: skip
_TRIMS = frozenset({"btrim", "ltrim", "rtrim"})
_CUT_TYPES = frozenset({"varchar", "bpchar", "name"})
_BODIES = frozenset({"CreateFunctionStmt", "DoStmt"})
#: What may be a call in a body, and words that stand before brackets otherwise.
_CALL = re.compile(r"\b([a-z_]\w*)\"?\s*\(|\b(execute)\b")
_BEFORE_BRACKETS = frozenset(
    {
        "all", "and", "any", "array", "as", "bit", "by", "coalesce", "cube", "decimal", "exists",
        "filter", "from", "greatest", "if", "in", "interval", "join", "least", "not", "nullif",
        "numeric", "on", "or", "over", "raise", "return", "rollup", "row", "select", "sets", "some",
        "then", "timestamp", "union", "using", "values", "when", "where", "while", "with",
    }
)  # fmt: skip
#: A statement that is not looked into.
_UNREAD_READS = re.compile(r"(?:::|\bas)\s*(?:pg_catalog\s*\.\s*)?\"?(?:date|time)", re.IGNORECASE)

#: What the digest of a file ends with that says one of the words.
MARK = " clock"
_FILE_WORDS = (b"now", b"today", b"tomorrow", b"yesterday")
_FILE_SAYS = re.compile(rb"(?<![a-z])(?:now|today|tomorrow|yesterday)(?=[^a-z])")
#: In the text format of COPY, and in JSON.
_FILE_SPELLED = re.compile(rb"\\(?:x[0-9a-f]|u[0-9a-f]{4}|[0-7])", re.IGNORECASE)
_FILE_BLANK = re.compile(rb"\\[bfnrtv]")
#: What of a block may belong to a word that goes on in the next, with marks between its letters.
_OVERLAP = 64


def volatile(text: str) -> bool:
    """Whether a statement (canonical text) names something whose value changes from run to run."""
    return _VOLATILE.search(text) is not None or says(text)


def impure(text: str) -> bool:
    """Whether it names something that shows more than the state."""
    return _IMPURE.search(text) is not None or says(text)


def says(text: str) -> bool:
    """Whether a text says one of the words, or may."""
    if _SAYS.search(text) is not None:
        return True
    joined = _CONTINUED.sub("", text)
    if "\\" in joined:
        joined = _BLANK.sub(" ", joined).replace("\\", "")
    return joined != text and _SAYS.search(joined) is not None


def converts(tree: trees.Tree) -> bool:
    """Whether a query makes values of a type whose input may take a text for the clock, or for what
    is called so now, from what does not stand in it as a literal.
    """
    return any(name not in _PLAIN_TYPES for name in _types(tree))


def reads(tree: trees.Tree, text: str) -> bool:
    """Whether a statement, or what it defines, may read the clock off texts that are data."""
    if not tree.node:
        return _UNREAD_READS.search(text) is not None
    if tree.kind in _BODIES and _BODY_READS.search(text):
        return True
    return any(name not in _TIMELESS_TYPES for name in _types(tree)) or any(
        name in _CLOCK_TYPES or _READERS.match(name) for name, _ in _calls(tree)
    )


def composes(tree: trees.Tree, text: str) -> bool:
    """Whether a statement, or what it defines, may make a text that says one of the words."""
    if says(text) or "||" in text:
        return True
    if tree.kind in _BODIES and any(_body_composes(body) for body in _bodies(tree.node)):
        return True
    if any(
        name not in _WHOLE and not (name in _TRIMS and count == 1) for name, count in _calls(tree)
    ):
        return True
    return tree.may_hold("TypeCast") and any(_cuts(value) for value in trees.nodes(tree.node))


def data_says(data: str) -> bool:
    """Whether the data of a COPY says one of the words, or may."""
    search = Search()
    search.feed(data.encode("utf-8", "surrogatepass"))
    search.end()
    return search.found


class Search:
    """Looks for the words in a file that is given block by block."""

    def __init__(self) -> None:
        self.found = False
        self._rest = b"\n"

    def feed(self, block: bytes) -> None:
        """Look through the next block."""
        if self.found:
            return
        data = self._rest + block
        # Looking for plain words first is ten times as fast. A word at the very end may go on.
        self.found = _file_says(data)
        if not self.found and (b"\\" in data or b'"' in data):
            plain = _FILE_BLANK.sub(b" ", data).replace(b"\\", b"").replace(b'"', b"")
            self.found = _FILE_SPELLED.search(data) is not None or _file_says(plain)
        self._rest = data[-_OVERLAP:]

    def end(self) -> None:
        """The file has ended."""
        self.feed(b"\n")


def _file_says(data: bytes) -> bool:
    data = data.lower()
    return any(word in data for word in _FILE_WORDS) and _FILE_SAYS.search(data, 1) is not None


def _types(tree: trees.Tree) -> Iterator[str]:
    """The types that values are made of, but for literals; those of columns are no such."""
    stack: list[Any] = []
    if tree.may_hold("typeName", "coldeflist"):
        stack += tree.node.values()
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, dict) and "A_Const" not in value:
            cast = value.get("TypeCast")
            if cast is not None and "A_Const" in cast["arg"]:
                continue
            for column in value.get("coldeflist", ()):
                yield _last(column["ColumnDef"]["typeName"]["names"])
            column = value.get("ColumnDef")
            if column is not None:
                stack.extend(item for key, item in column.items() if key != "typeName")
                continue
            named = value.get("typeName")
            if named is not None:
                yield _last(named["names"])
            stack.extend(value.values())


def _calls(tree: trees.Tree) -> Iterator[tuple[str, int]]:
    """The functions that are called by name, and the number of their arguments."""
    if not tree.may_hold("FuncCall"):
        return
    for value in trees.nodes(tree.node):
        call = value.get("FuncCall")
        if call is not None:
            yield _last(call["funcname"]), len(call.get("args", ()))


def _last(names: list[dict[str, Any]]) -> str:
    name: str = names[-1]["String"]["sval"]
    return name


def _bodies(node: dict[str, Any]) -> Iterator[str]:
    """The texts that a function or a DO block is given to run."""
    for value in trees.nodes(node):
        option = value.get("DefElem")
        if option is not None and option.get("defname") == "as":
            for part in trees.nodes(option.get("arg")):
                if "String" in part:
                    yield part["String"]["sval"]


def _body_composes(body: str) -> bool:
    lower = body.lower()
    return "||" in lower or any(
        name not in _WHOLE and name not in _BEFORE_BRACKETS
        for call in _CALL.findall(lower)
        for name in call
        if name
    )


def _cuts(value: dict[str, Any]) -> bool:
    """Whether a node casts to a type that cuts texts off."""
    cast = value.get("TypeCast")
    if cast is None:
        return False
    made = cast["typeName"]
    name = _last(made["names"])
    return name == "name" or (name in _CUT_TYPES and "typmods" in made)
