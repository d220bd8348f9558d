"""What a session goes on to take a function's literals and types for, once it has called it.

PostgreSQL reads a literal in a function in SQL or PL/pgSQL when a session first calls it, as the
settings then say: `'01/02/2024'::date` is in January or in February. Then, too, it looks up what
`t.a%type` is, and what types the columns of a row have. Where a setting or the table changes
afterwards, that session goes on with the old meaning, and one made anew has the new one.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pgcellar.notebook import clocks, lexer, trees

#: The settings that say what a literal means, and what else a function is compiled with.
_SETTINGS = (
    r"datestyle|intervalstyle|timezone\w*|lc_monetary|array_nulls|xmloption|transform_null_equals"
    r"|standard_conforming_strings|backslash_quote|plpgsql\s*\.\s*\w+"
)
_SETTING = re.compile(rf"(?:{_SETTINGS})\Z")
_NAMES_SETTING = re.compile(rf"\b(?:{_SETTINGS}|time\s+zone|xml\s+option)\b")
#: A variable of psql's may name one.
_SET = re.compile(
    rf"\b(?:re)?set\s+(?:(?:session|local)\s+)?"
    rf"(?:\"?(?:{_SETTINGS})\b|time\s+zone\b|xml\s+option\b|:)|\breset\s+all\b"
)
_DISCARDS = re.compile(r"\bdiscard\s+all\b")
_UPDATES_SETTINGS = re.compile(r"\bupdate\s+(?:pg_catalog\s*\.\s*)?pg_settings\b")
#: The SET of an UPDATE sets no setting.
_UPDATES = re.compile(
    r"\bupdate\s+(?:only\s+)?(?:[\w.\"%$]+\s+)?(?:(?:as\s+)?\w+\s+)?set\b", re.IGNORECASE
)
_CONFIG = "set_config"
_CONFIG_NAME = re.compile(rf"{_CONFIG}\s*\(\s*'([^'\\]*)'\s*,")
#: What ends with the transaction changes the setting back then.
_LOCAL = re.compile(rf"\bset\s+local\b|\b{_CONFIG}\b(?!.*\bfalse\b)", re.DOTALL)
#: What is put together may be a SET of anything.
_EXECUTES = re.compile(r"\bexecute\b")
_SETS = re.compile(r"\bset\b(?!\s+search_path\b)")
#: For new sessions.
_LATER = frozenset({"AlterRoleSetStmt", "AlterDatabaseSetStmt"})
_AT_ONCE = frozenset(
    {
        "VariableSetStmt", "DiscardStmt", "SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt",
        "MergeStmt",
    }
)  # fmt: skip
_BODIES = frozenset({"CreateFunctionStmt", "DoStmt"})
#: A function that is made by code, or kept as a text to be run.
_MAKES_FUNCTION = re.compile(r"\bcreate\s+(?:or\s+replace\s+)?(?:function|procedure)\b")
#: A type that is looked up by the name of a column or table, or is that of whatever was read first.
_OF_COLUMN = re.compile(r"%\s*(?:row)?type\b|\brecord\s*;", re.IGNORECASE)
#: A record that EXECUTE fills goes on to have the types that it was filled with first.
_RECORD = re.compile(r"\b(\w+)\s+record\b")
_COLUMN = re.compile(r"\b(\w+)\s*\.\s*[\w\"]")
#: What a trigger reads has the type that it had first.
_OF_ROW = re.compile(r"\b(?:new|old)\s*\.\s*\"?(\w+)")
#: A variable whose type has the name of a table, say, has its columns.
_DECLARED = re.compile(
    r"\b\w+\s+(?:constant\s+)?(?:\"?\w+\"?\s*\.\s*)?\"?(\w+)\"?\s*(?:;|:=|=|default\b|not\b)"
)
#: Types that are found whatever the search path is, and have no columns; "zone" ends those of time.
_BUILT_IN = frozenset(
    {
        "bigint", "bigserial", "bool", "boolean", "bpchar", "bytea", "char", "character",
        "cursor", "date", "decimal", "float", "float4", "float8", "inet", "int", "int2", "int4",
        "int8", "integer", "interval", "json", "jsonb", "money", "name", "numeric", "oid",
        "precision", "real", "record", "refcursor", "regclass", "smallint", "text", "time",
        "timestamp", "timestamptz", "timetz", "trigger", "uuid", "varchar", "varying", "void",
        "xml", "zone",
    }
)  # fmt: skip
_ALTERS = frozenset({"AT_AlterColumnType", "AT_DropColumn"})
_WORD = re.compile(r"\w+")
_SETS_PATH = re.compile(
    r"\b(?:re)?set\s+(?:(?:session|local)\s+)?(?:\"?search_path\b|schema\b|:)|\breset\s+all\b"
    r"|\bdiscard\s+all\b|\bset_config\s*\(\s*'search_path'"
)
_CHANGES = re.compile(r"\b(?:drop|alter)\b")
_ANY = frozenset({"*"})
#: Every mark holds its words; a notebook of hundreds of functions has any.
_MANY = 500
_NONE: frozenset[str] = frozenset()
#: What may drop or rename what it does not name.
_WIDE = frozenset({"OBJECT_SCHEMA", "OBJECT_EXTENSION"})
_TYPES = frozenset({"OBJECT_TYPE", "OBJECT_DOMAIN"}) | _WIDE
_RELATIONS = frozenset(
    {
        "OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_FOREIGN_TABLE", "OBJECT_COLUMN",
    }
)  # fmt: skip
_DIGIT = re.compile(r"\d")
#: A time of the day may stand behind it.
_CLOCK = re.compile(r"\s*(?:now|today|tomorrow|yesterday)(?![a-z])", re.IGNORECASE)
#: A literal that spells its characters by number may say anything.
_SPELLED = re.compile(r"\\[xu0-7]", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Use:
    """What a statement has to do with it.

    `literals`: it defines code with a literal whose meaning may hang on a setting, and `frozen`:
    with one that is the clock, which then stands still for the session, or with a record whose
    types do. `shifts`: it may change
    such a setting, and `shifts_later`: so may what comes after it, when what it defines is called,
    or the transaction ends. `columns` are the words of code that takes types from columns or rows,
    and `types` those of any that may name a type; `changed` names columns and tables that mean
    something else from here on, `retyped` types, `*` being any.
    """

    literals: bool = False
    frozen: bool = False
    shifts: bool = False
    shifts_later: bool = False
    columns: frozenset[str] = _NONE
    types: frozenset[str] = _NONE
    changed: frozenset[str] = _NONE
    retyped: frozenset[str] = _NONE


NONE = Use()


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """What a session that ran the statements above may remember.

    `literals`: there is code with such a literal, and `shifts`: such that changes settings; of
    `columns` and `types` see `Use`. `differs`: a session made anew may have another meaning.
    """

    literals: bool = False
    shifts: bool = False
    columns: frozenset[str] = _NONE
    types: frozenset[str] = _NONE
    differs: bool = False

    @property
    def holds(self) -> bool:
        """Whether there is anything to remember."""
        return self.literals or bool(self.types)

    def after(self, use: Use) -> Memory:
        """The same after one more statement."""
        if use is NONE:
            return self
        literals = self.literals or use.literals or use.frozen
        shifts = self.shifts or use.shifts_later
        return Memory(
            literals=literals,
            shifts=shifts,
            columns=_both(self.columns, use.columns),
            types=_both(self.types, use.types),
            differs=self.differs
            or use.frozen
            or (literals and (shifts or use.shifts))
            or _among(use.changed, self.columns)
            or _among(use.retyped, self.types),
        )

    def renewed(self) -> Memory:
        """The same in a new session, which has called nothing yet."""
        return dataclasses.replace(self, differs=False)


NOTHING = Memory()


def _among(named: frozenset[str], words: frozenset[str]) -> bool:
    if not named or not words:
        return False
    return _ANY in (named, words) or not named.isdisjoint(words)


def _both(words: frozenset[str], more: frozenset[str]) -> frozenset[str]:
    if more <= words or words == _ANY:
        return words
    found = words | more
    return found if len(found) <= _MANY else _ANY


def foreseen(memory: Memory, used: Iterable[tuple[Use, ...]]) -> Memory:
    """What a session may remember after some cells."""
    for uses in used:
        for use in uses:
            memory = memory.after(use)
    return memory


def of(tree: trees.Tree, text: str) -> Use:
    """The use of a statement (canonical text)."""
    lower = text.lower()
    kind = tree.kind
    literals = frozen = False
    columns = types = _NONE
    if kind == "CreateFunctionStmt" and tree.node:
        bodies = list(_bodies(tree.node))
        literals = any(map(_hangs, bodies))
        frozen = any(_stands_still(body) or _fills_records(body) for body in bodies)
        columns, types = _named(bodies, lower)
        if types:
            columns = columns.union(_passed(tree.node))
    elif _MAKES_FUNCTION.search(lower):
        literals, frozen = _hangs(text), clocks.says(text) or _fills_records(text)
        columns, types = _named([text], lower)
    shifts = kind not in _LATER and _shifts(lower, runs=kind in _BODIES)
    changed, retyped = _changed(tree, lower)
    return _use(
        Use(
            literals=literals,
            frozen=frozen,
            shifts=shifts,
            shifts_later=shifts and (kind not in _AT_ONCE or _LOCAL.search(lower) is not None),
            columns=columns,
            types=types,
            changed=changed,
            retyped=retyped,
        )
    )


def of_source(source: str) -> Use:
    """The use of a text that is not followed statement by statement."""
    lower = source.lower()
    defines = _MAKES_FUNCTION.search(lower) is not None
    shifts = _shifts(lower, runs=True)
    columns, types = _named([source], lower) if defines else (_NONE, _NONE)
    changes = _ANY if _CHANGES.search(lower) else _NONE
    return _use(
        Use(
            literals=defines,
            frozen=defines and (clocks.says(source) or _fills_records(source)),
            shifts=shifts,
            shifts_later=shifts,
            columns=columns,
            types=types,
            changed=_ANY if _SETS_PATH.search(lower) else changes,
            retyped=changes,
        )
    )


def _use(found: Use) -> Use:
    return NONE if found == NONE else found


def _named(bodies: Iterable[str], lower: str) -> tuple[frozenset[str], frozenset[str]]:
    """The words of what takes types from columns, and of all; SQL takes none by name."""
    if "plpgsql" not in lower:
        return _NONE, _NONE
    words = {body: frozenset(_WORD.findall(body.lower())) for body in bodies}
    of_columns = (
        found if _OF_COLUMN.search(body) else _of_rows(body.lower())
        for body, found in words.items()
    )
    return _NONE.union(*of_columns), _NONE.union(*words.values())


def _of_rows(body: str) -> Iterator[str]:
    """What a trigger reads, and the names of the types of variables."""
    yield from _OF_ROW.findall(body)
    for block in body.split("declare")[1:]:
        for name in _DECLARED.findall(block.partition("begin")[0]):
            if name not in _BUILT_IN:
                yield name


def _passed(node: dict[str, Any]) -> Iterator[str]:
    """The names of the types of what a function takes and gives."""
    for found in trees.nodes([node.get("parameters", []), node.get("returnType", {})]):
        parts = [part["String"]["sval"].lower() for part in found.get("names", [])]
        if parts and parts[0] != "pg_catalog" and parts[-1] not in _BUILT_IN:
            yield parts[-1]


def _changed(tree: trees.Tree, lower: str) -> tuple[frozenset[str], frozenset[str]]:
    """The names that mean other columns or tables after a statement, and other types."""
    kind, node = tree.kind, tree.node
    if kind == "DoStmt" and _CHANGES.search(lower):
        return _ANY, _ANY
    if kind in _AT_ONCE:
        return (_ANY if _SETS_PATH.search(lower) else _NONE), _NONE
    if kind not in ("AlterTableStmt", "RenameStmt", "DropStmt", "AlterObjectSchemaStmt"):
        return _NONE, _NONE
    if kind == "AlterTableStmt" and not any(
        key == "subtype" and value in _ALTERS for key, value in trees.members(node)
    ):
        return _NONE, _NONE
    what = node.get("removeType") or node.get("renameType") or node.get("objectType", "")
    if what in _WIDE:
        return _ANY, _ANY
    members = ("relname", "subname", "sval", "name")
    named = (value for key, value in trees.members(node) if key in members)
    names = frozenset(name.lower() for name in named if isinstance(name, str))
    changed = names if kind == "AlterTableStmt" or what in _RELATIONS | _TYPES else _NONE
    return changed, names if what in _TYPES else _NONE


def _shifts(lower: str, *, runs: bool) -> bool:
    """Whether a text may change such a setting; `runs`: it may be code that is put together."""
    if "set" not in lower and "discard" not in lower:
        return False
    if _UPDATES_SETTINGS.search(lower):
        return True
    text = _UPDATES.sub("", lower)
    if _SET.search(text) or _DISCARDS.search(text):
        return True
    sets = _SETS.search(text) is not None
    if sets and ("--" in text or "/*" in text) and _NAMES_SETTING.search(text):
        # Between the two a comment may stand.
        return True
    if sets and runs and _EXECUTES.search(text):
        return True
    named = _CONFIG_NAME.findall(text)
    return len(named) != text.count(_CONFIG) or any(_SETTING.match(name) for name in named)


def _hangs(body: str) -> bool:
    """Every date, time, interval or sum of money has a digit, or is a word for the clock."""
    return any(
        _DIGIT.search(literal) or "\\" in literal or clocks.says(literal)
        for literal in lexer.literals(body)
    )


def _stands_still(body: str) -> bool:
    return any(
        _CLOCK.match(literal) or _SPELLED.search(literal) for literal in lexer.literals(body)
    )


def _fills_records(body: str) -> bool:
    """Whether a record is filled by EXECUTE, and its columns are used."""
    lower = body.lower()
    if _EXECUTES.search(lower) is None:
        return False
    return not set(_RECORD.findall(lower)).isdisjoint(_COLUMN.findall(lower))


def _bodies(node: dict[str, Any]) -> Iterator[str]:
    """The texts that a function is given to run; what has no quotes around it is read at once."""
    for value in trees.nodes(node.get("options", [])):
        option = value.get("DefElem")
        if option is not None and option.get("defname") == "as":
            for part in trees.nodes(option.get("arg")):
                if "String" in part:
                    yield part["String"]["sval"]
