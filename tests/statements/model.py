"""What the author of generated statements believes to exist."""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Iterable

TABLES = ("a", "b", "c", "d")
_FLAGS = re.DOTALL | re.IGNORECASE
_CREATED = re.compile(
    r"create (?:or replace )?(temp |materialized )?"
    r"(table|sequence|view|function|schema|type|domain|role|aggregate|statistics)"
    r" (?:if not exists )?(\w+)([^;]*)",
    _FLAGS,
)
_DROPPED = re.compile(r"drop (?:materialized )?(table|sequence|view|function|role) (\w+)", _FLAGS)
_BEGUN = re.compile(r"^\s*(?:begin|start transaction)\b", re.IGNORECASE | re.MULTILINE)
_ENDED = re.compile(r"^\s*(?:commit|end|abort|rollback(?! to))\b", re.IGNORECASE | re.MULTILINE)
_ROLE = re.compile(r"^\s*(?:set role (\w+)|reset role)", re.IGNORECASE | re.MULTILINE)


@dataclasses.dataclass(kw_only=True)
class Table:
    """What the author knows of a table; it always has the columns id, n and s.

    `key` says where its ids come from: `given` (a primary key that inserts name), `made` (a serial
    or identity column) or `none`. `next_id` is beyond all ids that were given.
    """

    key: str
    next_id: int = 1
    extra: set[str] = dataclasses.field(default_factory=set)
    triggered: bool = False
    policed: bool = False


@dataclasses.dataclass(kw_only=True)
class Model:
    """What the author believes to exist.

    `views` and `functions` name the tables they need. `others` are names of whatever there is one
    of, in the database; `held` of what the session holds: cursors, locks. `temporary` says of a
    temporary table what becomes of it at COMMIT. `begun` is what there was when the open
    transaction began, `savepoints` what there was at each.
    """

    tables: dict[str, Table] = dataclasses.field(default_factory=dict)
    sequences: set[str] = dataclasses.field(default_factory=set)
    views: dict[str, set[str]] = dataclasses.field(default_factory=dict)
    functions: dict[str, set[str]] = dataclasses.field(default_factory=dict)
    prepared: set[str] = dataclasses.field(default_factory=set)
    others: set[str] = dataclasses.field(default_factory=set)
    held: set[str] = dataclasses.field(default_factory=set)
    temporary: dict[str, str] = dataclasses.field(default_factory=dict)
    roles: set[str] = dataclasses.field(default_factory=set)
    role: str | None = None
    counter: int = 100
    begun: Model | None = None
    aborted: bool = False
    savepoints: list[tuple[str, Model]] = dataclasses.field(default_factory=list)

    def forget(self, table: str) -> None:
        """The table is gone, and what needs it."""
        self.tables.pop(table, None)
        self.views = {name: on for name, on in self.views.items() if table not in on}
        self.functions = {name: on for name, on in self.functions.items() if table not in on}

    def has(self, need: str) -> bool:
        """Whether there is one of the kind, or that very thing; nothing there always is."""
        kinds = {
            "": True,
            "table": bool(self.tables),
            "given": any(table.key == "given" for table in self.tables.values()),
            "sequence": bool(self.sequences),
            "view": bool(self.views),
            "function": bool(self.functions),
            "prepared": bool(self.prepared),
            "role": bool(self.roles),
            "savepoint": bool(self.savepoints),
        }
        return kinds[need] if need in kinds else need in self.others | self.held

    def begin(self) -> None:
        """A transaction begins."""
        if self.begun is None:
            self.begun = copy.deepcopy(self)

    def commit(self) -> None:
        """It ends well, unless it was aborted."""
        if self.aborted:
            self.rollback()
            return
        self.begun, self.savepoints = None, []
        self.held -= {name for name in self.held if name.startswith("t_")}
        self.temporary = {n: how for n, how in self.temporary.items() if how != "drop"}

    def rollback(self) -> None:
        """It ends as if it had not been, but for what no transaction holds."""
        before = self.begun
        if before is not None:
            self._return_to(before)
        self.begun, self.savepoints = None, []

    def rollback_to(self, name: str) -> None:
        """Back to the last savepoint of the name, which stays."""
        while self.savepoints and self.savepoints[-1][0] != name:
            self.savepoints.pop()
        if self.savepoints:
            self._return_to(self.savepoints[-1][1])

    def _return_to(self, before: Model) -> None:
        kept = {"prepared", "begun", "savepoints", "counter"}
        for field in dataclasses.fields(self):
            if field.name not in kept:
                setattr(self, field.name, copy.deepcopy(getattr(before, field.name)))


def believed(sources: Iterable[str]) -> Model:
    """A model read off cells that were written earlier, by their looks."""
    model = Model(counter=500)
    for source in sources:
        for how, kind, name, rest in _CREATED.findall(source):
            kind = kind.lower()
            if how == "temp ":
                model.temporary.setdefault(name, "preserve")
            elif kind == "table" and name in TABLES:
                key = "made" if re.search("serial|identity", rest) else "given"
                # Beyond what the author of those cells gave.
                model.tables[name] = Table(key=key, next_id=500)
            elif kind == "sequence" and name in ("s1", "s2"):
                model.sequences.add(name)
            elif kind == "view" and name != "mc":
                model.views[name] = {t for t in TABLES if re.search(rf"\b{t}\b", rest)}
            elif kind == "function" and name.startswith("f_"):
                model.functions[name] = set()
            elif kind == "role":
                model.roles.add(name)
            else:
                model.others.add(name)
        for kind, name in _DROPPED.findall(source):
            if kind.lower() == "table":
                model.forget(name)
                model.temporary.pop(name, None)
            model.sequences.discard(name)
            model.views.pop(name, None)
            model.functions.pop(name, None)
            model.roles.discard(name)
            model.others.discard(name)
        begun, ended = (list(one.finditer(source)) for one in (_BEGUN, _ENDED))
        if begun and (not ended or ended[-1].start() < begun[-1].start()):
            model.begin()
        elif ended and model.begun is not None:
            model.commit()
        for role in _ROLE.findall(source):
            model.role = role or None
    return model
