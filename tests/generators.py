"""Strategies for notebooks and for what a person does to them.

A notebook here is plain data: cells with stable ids and a source each. `notebooks` writes one
from the top, `edits` changes one, `sessions` does both. Most notebooks succeed from end to end;
about one in five or four has cells that fail.
"""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from tests.statements import author as authors
from tests.statements import model, scripts, writing

MAX_CELLS = 12
MAX_STATEMENTS = 4

Draw = Callable[[st.SearchStrategy[Any]], Any]

#: Cells that do nothing.
IDLE = ("", "  \n\t", "-- nothing; at all", "/* a /* nested */ comment; */", ";", " ;; -- end")
#: What may stand wherever a blank does.
BLANKS = ("  ", "\n", "\n\t", " /* ; */ ", " -- aside 'quoted\n")
#: What can't stand in a transaction.
_OUTSIDE = re.compile(
    r"\b(vacuum|concurrently|discard all|p_commit|p_in|commit|begin;|savepoint|rollback)\b"
    r"|add value",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\b\d+\b")
#: Quoted text and comments, which blanks must not be changed in, or a blank.
_TOKEN = re.compile(
    r"""(?P<kept>'(?:[^']|'')*'|"[^"]*"|\$(\w*)\$.*?\$\2\$|--[^\n]*\n?|/\*.*?\*/)|(?P<blank>[ ])""",
    re.DOTALL,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell as a notebook holds it; the id stays when the source or the place changes."""

    id: str
    source: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Notebook:
    """Cells in order. `created` counts all there ever were, so that no id is used again."""

    cells: tuple[Cell, ...]
    created: int

    @property
    def sources(self) -> list[str]:
        """The cells' texts, in order."""
        return [cell.source for cell in self.cells]

    def replaced(self, index: int, source: str) -> Notebook:
        """With another text in one cell."""
        cell = dataclasses.replace(self.cells[index], source=source)
        return self._with([*self.cells[:index], cell, *self.cells[index + 1 :]])

    def inserted(self, index: int, source: str) -> Notebook:
        """With a new cell before the one at `index`."""
        cell = Cell(id=f"cell-{self.created}", source=source)
        found = self._with([*self.cells[:index], cell, *self.cells[index:]])
        return dataclasses.replace(found, created=self.created + 1)

    def deleted(self, index: int) -> Notebook:
        """Without one cell."""
        return self._with([*self.cells[:index], *self.cells[index + 1 :]])

    def moved(self, index: int, to: int) -> Notebook:
        """With one cell taken out and put in again at the index `to`."""
        rest = self.deleted(index).cells
        return self._with([*rest[:to], self.cells[index], *rest[to:]])

    def swapped(self, one: int, other: int) -> Notebook:
        """With two cells in each other's place."""
        cells = list(self.cells)
        cells[one], cells[other] = cells[other], cells[one]
        return self._with(cells)

    def _with(self, cells: list[Cell]) -> Notebook:
        return dataclasses.replace(self, cells=tuple(cells))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Edit:
    """What a person did: the notebook afterwards, and the cell that is then run.

    `head` is None where no cell is left to run.
    """

    kind: str
    notebook: Notebook
    head: int | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Session:
    """A notebook and what becomes of it, step by step."""

    notebook: Notebook
    edits: tuple[Edit, ...]


@st.composite
def notebooks(draw: Draw, max_cells: int = MAX_CELLS) -> Notebook:
    """Notebooks of one to `max_cells` cells, written from the top."""
    author = authors.Author(draw, model.Model())
    faulty = author.number(0, 7) == 0
    notebook = Notebook(cells=(), created=0)
    if author.number(0, 1) == 0:
        notebook = notebook.inserted(0, ";\n".join(writing.opening(author)))
    for index in range(len(notebook.cells), author.number(1, max_cells)):
        fails = faulty and author.number(0, 3) == 0
        notebook = notebook.inserted(index, _cell(author, fails=fails))
    return notebook


@st.composite
def edits(draw: Draw, notebook: Notebook) -> Edit:
    """One thing done to the notebook, and the cell run after it."""
    author = authors.Author(draw, model.Model())
    count = len(notebook.cells)
    kind = author.pick(_EDITS) if count else "insert"
    index = author.number(0, count if kind == "insert" else count - 1)
    other = author.number(0, max(0, count - 1))
    source = "" if kind == "insert" else notebook.cells[index].source
    if kind in ("insert", "rewrite"):
        author.model = model.believed(notebook.sources[:index])
        text = _cell(author, fails=author.number(0, 9) == 0)
        changed = (notebook.inserted if kind == "insert" else notebook.replaced)(index, text)
    elif kind == "tweak":
        changed = notebook.replaced(index, _tweaked(author, source))
    elif kind == "reformat":
        changed = notebook.replaced(index, reformatted(source, author.pick(BLANKS)))
    elif kind == "comment":
        changed = notebook.replaced(index, f"-- note {author.number(0, 9)}\n{source}")
    elif kind == "delete":
        changed = notebook.deleted(index)
    elif kind == "move":
        changed = notebook.moved(index, other)
    elif kind == "swap":
        changed = notebook.swapped(index, other)
    else:
        changed = notebook
    return Edit(kind=kind, notebook=changed, head=_head(author, changed, kind, index))


@st.composite
def sessions(draw: Draw, max_cells: int = MAX_CELLS, max_edits: int = 6) -> Session:
    """A notebook and one to `max_edits` edits, each of what the one before it left."""
    notebook = draw(notebooks(max_cells=max_cells))
    done: list[Edit] = []
    for _ in range(draw(st.integers(1, max_edits))):
        done.append(draw(edits(done[-1].notebook if done else notebook)))
    return Session(notebook=notebook, edits=tuple(done))


def reformatted(source: str, blank: str) -> str:
    """The same SQL with every blank outside literals and comments replaced by `blank`.

    A cell with meta-commands stays as it is: they end with their lines.
    """
    if "\\" in source:
        return source
    return _TOKEN.sub(lambda match: match["kept"] or blank, source)


_EDITS = (
    *("tweak", "tweak", "rewrite", "rewrite", "insert", "insert", "delete", "move", "swap"),
    *("rerun", "rerun", "comment", "reformat"),
)


def _head(author: authors.Author, notebook: Notebook, kind: str, index: int) -> int | None:
    """Mostly the cell that was touched, as a person would; else any."""
    count = len(notebook.cells)
    if count == 0:
        return None
    if kind == "rerun" or author.number(0, 2) == 0:
        return author.number(0, count - 1)
    return min(index, count - 1)


def _tweaked(author: authors.Author, source: str) -> str:
    """The source with one of its numbers changed, or, without any, with a statement more."""
    numbers = list(_NUMBER.finditer(source))
    if not numbers:
        return f"{source}\n;select 1"
    found = author.pick(numbers)
    return f"{source[: found.start()]}{author.number(1, 60)}{source[found.end() :]}"


def _cell(author: authors.Author, *, fails: bool) -> str:
    """A cell's text; what fails leaves the author's model as it was."""
    if not fails and author.number(0, 19) == 0:
        return author.pick(IDLE)
    if author.model.role is None and not author.model.aborted and author.number(0, 14) == 0:
        return scripts.script(author)
    before = copy.deepcopy(author.model)
    written = [writing.statement(author) for _ in range(author.number(1, MAX_STATEMENTS))]
    after = author.model
    if before.begun is after.begun is None and before.role == after.role:
        if fails:
            written.insert(author.number(0, len(written)), author.pick(writing.FAILING))
            author.model = before
        elif author.number(0, 9) == 0 and not _OUTSIDE.search(";\n".join(written)):
            written = _transaction(author, written, before)
    separator = author.pick((";\n", ";\n", "; ", " ;\n\n", ";\n-- next; please\n"))
    ending = author.pick((";", ";", "", ";\n", "; -- done"))
    return separator.join(written) + ending


def _transaction(author: authors.Author, written: list[str], before: model.Model) -> list[str]:
    """The statements as one transaction."""
    end = author.pick(("commit", "commit", "rollback", "savepoint"))
    if end == "rollback":
        author.model = before
    elif end == "savepoint":
        author.model = before
        return ["begin", "savepoint one", *written, "rollback to one", "commit"]
    elif author.number(0, 2) == 0:
        written = [*written, "set local work_mem = '6MB'"]
    return ["begin", *written, end]
