"""What a statement will probably do to the state, read off PostgreSQL's own parse tree.

The parser only predicts; PostgreSQL decides (DESIGN.md, section 3). A prediction of *read* is
acted on only where the catalog of the parent state leaves no way to write (see `states.Facts`);
everything this module does not recognise is a write.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Collection
from typing import Any, Literal

from pgcellar.notebook import (
    clocks,
    copying,
    databases,
    lexer,
    meanings,
    remembering,
    statements,
    trees,
)

Name = Literal["none", "read", "write", "session", "pinning", "global"]

#: How a statement depends on the session it runs in, beyond what a snapshot restores.
#: `base`: on everything the session did from the base on (currval, lastval).
#: `pinned`: it leaves something in the session that can't be restored (setseed, settings of one's
#: own naming that are not named in the text).
Binding = Literal["free", "base", "pinned"]

Plans = Literal["makes", "keeps", "spoils"]

#: Why `client_encoding` stays as it is.
NOT_UTF8 = "The text of a notebook is UTF-8, so client_encoding must be."
NOT_UTF8_HINT = "convert_to(text, 'LATIN1') gives the bytes of a text in another encoding."

_NAME_BYTES = 63
_WORD = re.compile(r"[^\W\d]\w*")
_CURRENT_VALUE = re.compile(r"\b(?:currval|lastval)\b|\bu&\"", re.IGNORECASE)
#: SET of a setting of one's own naming, in the body of a function or a DO block.
_SETS_CUSTOM = re.compile(
    r"\bset\s+(?:session\s+|local\s+)?[\w\"]+\s*\.\s*[\w\"]+\s*(?:=|to\b)", re.I
)
_EXECUTING = frozenset({"DoStmt", "CreateFunctionStmt"})
#: The SET of an UPDATE sets no setting.
_UPDATES = re.compile(
    r"\bupdate\s+(?:only\s+)?(?:[\w.\"%$]+\s+)?(?:(?:as\s+)?\w+\s+)?set\b", re.IGNORECASE
)
_EXECUTES = re.compile(r"\bexecute\b")
_SETS = re.compile(r"\bset\s+(?!search_path\b)")
#: A call of set_config that names its setting, in canonical text.
_CONFIG_NAME = re.compile(r"set_config \( '([^'\\]*)' ,")
#: What isn accepts was no setting before PostgreSQL 18. U&"…" may spell any name.
_UNRESTORABLE = re.compile(
    r"\bsetseed\b|\bisn_weak\b|\bset\s+(?:session\s+|local\s+)?seed\b|'seed'|\bu&\"",
    re.IGNORECASE,
)
#: Called in a SELECT these change the sequence, the session or its locks; no need to find out.
_WRITING_WORDS = frozenset({"nextval", "setval"})
#: Shows the text that was sent, so it must be sent without ours around it.
_SHOWS_TEXT = "current_query"
_SESSION_WORDS = frozenset({"set_config", "setseed", "pg_notify", "isn_weak"})
_ADVISORY = "pg_advisory"
_TRY_ADVISORY = "pg_try_advisory"
#: A READ ONLY transaction shows in these, so a statement with one of them must not run in one.
_SHOWS_READ_ONLY = frozenset({"current_setting", "pg_settings", "pg_show_all_settings"})

_READS = frozenset({"SelectStmt", "VariableShowStmt", "ExplainStmt"})
#: Members by which a query says that it writes.
_WRITES = ("intoClause", "lockingClause", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")
#: What stands in the text of a tree that makes something temporary.
_TEMPORARY = '"relpersistence":"t"'
_SESSION = frozenset(
    {
        "VariableSetStmt", "DiscardStmt", "PrepareStmt", "DeallocateStmt", "ListenStmt",
        "UnlistenStmt", "NotifyStmt", "LoadStmt", "ConstraintsSetStmt",
    }
)  # fmt: skip
_PINNING = frozenset({"TransactionStmt", "DeclareCursorStmt", "ClosePortalStmt", "FetchStmt"})
#: Whether a transaction block is open after a statement that begins or ends one.
_TRANSACTION = {
    "TRANS_STMT_BEGIN": True,
    "TRANS_STMT_START": True,
    "TRANS_STMT_COMMIT": False,
    "TRANS_STMT_ROLLBACK": False,
    "TRANS_STMT_PREPARE": False,
}
#: Statements that change neither catalogs nor settings; nor do queries and COPY.
_KEEPS_PLANS = frozenset(
    {
        "ExecuteStmt", "DeallocateStmt", "TransactionStmt", "ListenStmt", "UnlistenStmt",
        "NotifyStmt", "CopyStmt", "VacuumStmt", "TruncateStmt", "LockStmt", "DeclareCursorStmt",
        "FetchStmt", "ClosePortalStmt", "ConstraintsSetStmt",
    }
)  # fmt: skip
_QUERIES = frozenset({"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"})
_GLOBAL = {
    "CreatedbStmt": "CREATE DATABASE",
    "DropdbStmt": "DROP DATABASE",
    "CreateTableSpaceStmt": "CREATE TABLESPACE",
    "DropTableSpaceStmt": "DROP TABLESPACE",
    "AlterTableSpaceOptionsStmt": "ALTER TABLESPACE",
    "AlterSystemStmt": "ALTER SYSTEM",
    "CreateSubscriptionStmt": "CREATE SUBSCRIPTION",
    "AlterSubscriptionStmt": "ALTER SUBSCRIPTION",
    "DropSubscriptionStmt": "DROP SUBSCRIPTION",
}
_OWNED = {"DropOwnedStmt": "DROP OWNED", "ReassignOwnedStmt": "REASSIGN OWNED"}
#: Statements on roles, which belong to the state though the server has one list of them.
_ROLES = frozenset(
    {"CreateRoleStmt", "AlterRoleStmt", "AlterRoleSetStmt", "DropRoleStmt", "GrantRoleStmt"}
)
#: The role that user SQL runs as, unless it takes on another.
USER_ROLE = "pgcellar"
_ROLE_WORDS = frozenset({"role", "user", "group"})
_CHANGING_WORDS = frozenset({"create", "alter", "drop", "grant", "revoke", "rename", "comment"})
_GROUP_BY = re.compile(r"\bgroup\s+by\b")
#: Statements that change no role, but by functions that are given what they execute.
_ROLELESS = _QUERIES | {
    "CreateStmt", "CreateTableAsStmt", "ViewStmt", "IndexStmt", "AlterTableStmt", "CopyStmt",
    "CreateTrigStmt", "CreateSeqStmt", "CreateEnumStmt", "CompositeTypeStmt", "RefreshMatViewStmt",
}  # fmt: skip
#: Statements that are global only for some kinds of object, and the member that tells.
_GLOBAL_BY_OBJECT = {
    "RenameStmt": "renameType",
    "GrantStmt": "objtype",
    "CommentStmt": "objtype",
    "AlterOwnerStmt": "objectType",
    "SecLabelStmt": "objtype",
}
#: What is done to a database without reaching beyond it: it belongs to the state.
_OWN_DATABASE = frozenset({"GrantStmt", "CommentStmt", "SecLabelStmt"})
_GLOBAL_OBJECTS = {
    "OBJECT_DATABASE": "database",
    "OBJECT_TABLESPACE": "tablespace",
    "OBJECT_PARAMETER_ACL": "server setting",
    "OBJECT_SUBSCRIPTION": "subscription",
}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """The prediction for one statement.

    `words` are the lower-case words of its canonical text, string literals included, by which it
    can name a function; None where it is too long to tell, and may name any.
    `read_only` says whether a read may run in a READ ONLY transaction without noticing.
    `shows`: it is a SHOW, which changes nothing and needs no snapshot.
    `pure`: by its text alone a read's result is a function of the state: no clock, no catalog, no
    place of a row; what the functions it names do is for the catalog to say.
    `volatile`: it names something whose value changes from run to run.
    `reads_texts`: it may read the clock off texts that are data, and `makes_texts`: it may make
    such a text (see `clocks`).
    `meanings`: what it has to do with literals that a session remembers.
    `definition`: it is neither a query nor a plain DML statement, so what it names may run later.
    `transaction`: whether a transaction block is open afterwards; None if that does not change.
    `custom`: settings of the user's own naming (`app.name`) that it may make: PostgreSQL does not
    list these, so they are asked for by name.
    `plans`: what it does to prepared statements: it `makes` one, `keeps` those there are as they
    are, or `spoils` them: prepared again after it they may mean something else.
    `copies`: whether it is a COPY that takes data in from the client, or gives it out.
    `opaque`: it runs code that its text does not show, or changes owners.
    `roles`: it may change the set of roles; `drops` names roles that it drops.
    `loads`: the relation a bulk load fills, as typed, for ANALYZE.
    `database`: where its text names the notebook's own database.
    `refusal` says why a global statement can't run, and `hint` what to do instead.
    """

    name: Name
    words: frozenset[str] | None
    read_only: bool = True
    shows: bool = False
    pure: bool = False
    volatile: bool = False
    reads_texts: bool = False
    makes_texts: bool = False
    meanings: meanings.Use = meanings.NONE
    binding: Binding = "free"
    definition: bool = False
    transaction: bool | None = None
    custom: frozenset[str] = frozenset()
    plans: Plans = "spoils"
    copies: Literal["in", "out"] | None = None
    opaque: bool = False
    roles: bool = False
    drops: tuple[str, ...] = ()
    loads: str | None = None
    database: databases.Spans = ()
    refusal: str | None = None
    hint: str | None = None


def _is_long(statement: statements.Statement) -> bool:
    return len(statement.text) > remembering.LONG


@remembering.remembered(20_000, _is_long)
def predict(statement: statements.Statement) -> Effect:
    """The predicted effect of a statement or meta-command."""
    if statement.kind == "meta":
        return _meta(statement)
    text = statement.canonical
    if not statements.readable(text):
        return Effect(
            name="write",
            words=None,
            refusal="The cell holds a character that no text in PostgreSQL can hold.",
            hint="Remove the NUL character or the lone surrogate from it.",
        )
    words = _words(text)
    tree = _parse(statement)
    kind, node = tree.kind, tree.node
    custom = _custom_settings(kind, node, text)
    effect = functools.partial(
        Effect,
        words=words,
        volatile=clocks.volatile(text),
        reads_texts=clocks.reads(tree, text),
        makes_texts=clocks.composes(tree, text),
        meanings=meanings.of(tree, text),
        definition=kind not in _QUERIES and kind not in _READS,
        binding=_binding(text, custom),
        custom=custom or frozenset(),
        transaction=_transaction(kind, node),
        opaque=kind in ("", "DoStmt", "CallStmt", "ReassignOwnedStmt"),
        roles=_changes_roles(tree, words, text),
        drops=_dropped_roles(kind, node),
        database=databases.spans(kind, node, statement.text),
    )
    target = _global_object(kind, node)
    if target is not None:
        return effect(
            name="global",
            refusal=f"{target} reaches beyond this notebook's database, so no cell can do it.",
            hint="What a notebook starts from (databases, server settings) is set by whoever"
            " runs pgcellar; everything inside the database is yours to change.",
        )
    if kind == "AlterRoleSetStmt" and "database" not in node and _is_self(node.get("role")):
        return effect(
            name="global",
            refusal="Settings of the notebook's own role would reach other notebooks' sessions.",
            hint=f"ALTER DATABASE {databases.NAME} SET … is for new sessions of this notebook.",
        )
    if kind == "VariableSetStmt" and node.get("name") == "client_encoding" and not _is_utf8(text):
        return effect(
            name="write",
            refusal=NOT_UTF8,
            hint=NOT_UTF8_HINT,
        )
    name = _name(tree, words)
    return effect(
        name=name,
        plans=_plans(kind, name),
        copies=_copies(kind, node),
        read_only=words is not None
        and not words & _SHOWS_READ_ONLY
        and not lexer.ambiguous(text)
        and kind != "VariableShowStmt"
        and not (kind == "ExplainStmt" and _executes(node)),
        shows=kind == "VariableShowStmt",
        pure=kind == "SelectStmt"
        and words is not None
        and not lexer.ambiguous(text)
        and not clocks.impure(text)
        and not clocks.converts(tree),
        loads=_loads(tree),
    )


def _meta(statement: statements.Statement) -> Effect:
    words = _words(statement.text)
    command = copying.parse(statement.text)
    if isinstance(command, copying.Refusal):
        return Effect(name="write", words=words, refusal=command.message, hint=command.hint)
    if command.out:
        # What it asks for tells; the file is for whoever runs the cell, and no part of a state.
        text = command.sql
        return predict(statements.Statement(kind="sql", text=text, start=0, canonical=text))
    # What COPY loads is read off its own parse tree; a malformed one is the server's to refuse.
    return Effect(name="write", words=words, plans="keeps", loads=_loads(trees.of(command.sql)))


def _words(text: str) -> frozenset[str] | None:
    # U&"…" spells a name without its letters standing in the text.
    if len(text) > statements.LONG_TEXT or 'u&"' in (lower := text.lower()):
        return None
    found = _WORD.findall(lower)
    # PostgreSQL cuts names off after 63 bytes, and knows the function by what is left.
    cut = [word.encode()[:_NAME_BYTES].decode(errors="ignore") for word in found if len(word) > 15]
    return frozenset(found).union(cut)


def _parse(statement: statements.Statement) -> trees.Tree:
    if len(statement.text) > statements.LONG_TEXT:
        return trees.unread(_by_first_word(statement.text))
    return trees.of(statement.text)


def _by_first_word(text: str) -> str:
    if text[:4].lower() == "drop":
        # Instances are the user's own, so PostgreSQL would let it pass.
        second = 4 + lexer.code_start(text[4:])
        return "DropdbStmt" if text[second : second + 8].lower() == "database" else ""
    return {"insert": "InsertStmt", "update": "UpdateStmt", "delete": "DeleteStmt"}.get(
        text.split(None, 1)[0].lower(), ""
    )


def _name(tree: trees.Tree, words: frozenset[str] | None) -> Name:
    kind, node = tree.kind, tree.node
    if kind in _SESSION:
        return "session"
    if kind in _PINNING or _temporary(tree):
        return "pinning"
    if kind == "ExplainStmt" and not _analyzes(node):
        # It plans and does nothing more.
        return "read"
    if kind == "ExplainStmt" or (kind == "CopyStmt" and _copies(kind, node) == "out"):
        # A COPY of a table has no query.
        writes = any(query != "SelectStmt" for query in node.get("query", ()))
        return "write" if writes or _writes(tree) else _by_words(words)
    if kind not in _READS or _writes(tree):
        return "write"
    return _by_words(words)


def _by_words(words: frozenset[str] | None) -> Name:
    """A SELECT names some functions whose effect is known beforehand."""
    if words is None:
        return "read"
    if any(word.startswith((_ADVISORY, _TRY_ADVISORY)) for word in words):
        return "pinning"
    if words & _WRITING_WORDS or _SHOWS_TEXT in words:
        return "write"
    return "session" if words & _SESSION_WORDS else "read"


def _analyzes(node: dict[str, Any]) -> bool:
    """Whether an EXPLAIN also executes."""
    return any(option["DefElem"].get("defname") == "analyze" for option in node.get("options", ()))


def _executes(node: dict[str, Any]) -> bool:
    """Whether it plans a prepared statement: what that calls, its text does not show."""
    return any(key == "ExecuteStmt" for key, _ in trees.members(node))


def _writes(tree: trees.Tree) -> bool:
    """Whether a query says by itself that it writes: INTO, FOR UPDATE, or DML in a CTE."""
    return tree.may_hold(*_WRITES) and any(key in _WRITES for key, _ in trees.members(tree.node))


def _temporary(tree: trees.Tree) -> bool:
    """Whether the statement makes something temporary."""
    return _TEMPORARY in tree.text and any(
        key == "relpersistence"
        and value == "t"
        and parent in ("relation", "rel", "view", "sequence")
        for parent, key, value in trees.nested_members(tree.node)
    )


def _global_object(kind: str, node: dict[str, Any]) -> str | None:
    """What the refusal calls a statement that changes the server, or None if it doesn't."""
    if kind in _GLOBAL:
        return _GLOBAL[kind]
    if kind in _OWNED and any(_is_self(role) for role in node["roles"]):
        # It would reach the other databases of the sandbox, too.
        return f"{_OWNED[kind]} BY the notebook's own role"
    member = _GLOBAL_BY_OBJECT.get(kind)
    if member is None:
        return None
    target = _GLOBAL_OBJECTS.get(node.get(member, ""))
    if target == "database" and kind in _OWN_DATABASE:
        return None
    return None if target is None else f"Changing a {target}"


def _is_utf8(text: str) -> bool:
    lower = text.lower()
    return lower.startswith("reset") or re.search(r"utf-?_?8|unicode|default", lower) is not None


def _is_self(role: dict[str, Any] | None) -> bool:
    """Whether a role specification, if there is one, is that of whoever asks."""
    found = (role or {}).get("RoleSpec", role)
    return found is not None and bool(found.get("rolename", USER_ROLE) == USER_ROLE)


def _transaction(kind: str, node: dict[str, Any]) -> bool | None:
    if kind != "TransactionStmt" or node.get("chain"):
        return None
    return _TRANSACTION.get(node["kind"])


def _plans(kind: str, name: Name) -> Plans:
    if kind == "PrepareStmt":
        return "makes"
    if kind in _KEEPS_PLANS or (kind in _QUERIES | _READS and name != "session"):
        return "keeps"
    return "spoils"


def _copies(kind: str, node: dict[str, Any]) -> Literal["in", "out"] | None:
    if kind != "CopyStmt" or node.get("filename") or node.get("is_program"):
        return None
    return "in" if node.get("is_from") else "out"


def _changes_roles(tree: trees.Tree, words: frozenset[str] | None, text: str) -> bool:
    """Whether a statement may change the set of roles, itself or by what it executes."""
    if tree.kind in _ROLES or words is None:
        return True
    if tree.kind in _READS or not _on_roles(words):
        return False
    if tree.kind in _ROLELESS:
        # Its own words are columns; what it has executed by a function it says in literals.
        text = "\n".join(trees.literals(tree.node))
    return _on_roles(_WORD.findall(_GROUP_BY.sub(" ", text.lower())))


def _on_roles(words: Collection[str]) -> bool:
    return not (_ROLE_WORDS.isdisjoint(words) or _CHANGING_WORDS.isdisjoint(words))


def _dropped_roles(kind: str, node: dict[str, Any]) -> tuple[str, ...]:
    if kind != "DropRoleStmt":
        return ()
    named = (role["RoleSpec"].get("rolename") for role in node["roles"])
    return tuple(name for name in named if name)


def _loads(tree: trees.Tree) -> str | None:
    """The relation an INSERT, COPY FROM or CREATE TABLE AS fills."""
    kind, node = tree.kind, tree.node
    if kind in ("InsertStmt", "CopyStmt") and (kind == "InsertStmt" or node.get("is_from")):
        relation = node.get("relation")
    elif kind in ("CreateTableAsStmt", "SelectStmt"):
        relation = (node.get("into") or node.get("intoClause") or {}).get("rel")
    else:
        relation = None
    if not relation:
        return None
    parts = [relation[key] for key in ("schemaname", "relname") if relation.get(key)]
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def _binding(text: str, custom: frozenset[str] | None) -> Binding:
    if _UNRESTORABLE.search(text) or custom is None:
        return "pinned"
    return "base" if names_current_value(text) else "free"


def names_current_value(text: str) -> bool:
    """Whether a text may ask what the session's sequences gave last."""
    return _CURRENT_VALUE.search(text) is not None


def _custom_settings(kind: str, node: dict[str, Any], text: str) -> frozenset[str] | None:
    """The settings of the user's own naming that may be made; None if it can't be told which."""
    if kind == "VariableSetStmt":
        name = node.get("name", "")
        return frozenset({name} if "." in name else ())
    lower = text.lower()
    # In a comment the word may stand before a SET of another kind.
    commented = "--" in lower or "/*" in lower
    settings = lower if commented else _UPDATES.sub("", lower)
    if kind not in _QUERIES and _SETS_CUSTOM.search(settings):
        return None
    if kind in _EXECUTING and _EXECUTES.search(lower) and _SETS.search(settings):
        # Whatever it puts together may be SET.
        return None
    if "set_config" not in lower:
        return frozenset()
    named = _CONFIG_NAME.findall(lower)
    if kind != "SelectStmt" or len(named) != lower.count("set_config"):
        return None
    return frozenset(name for name in named if "." in name)
