"""What is told about a name: a title, a few sentences, a table; as text and as HTML. Pure.

Whatever a user's data holds is escaped here, and nowhere else.
"""

from __future__ import annotations

import dataclasses
import html

#: Rows of a table, and characters of a cell, that are shown.
MAX_ROWS = 200
MAX_CELL = 300


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """`code` is SQL, or the like, that is shown as it is, below the rest."""

    title: str
    about: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    code: tuple[str, ...] = ()

    def data(self) -> dict[str, str]:
        """By MIME type."""
        return {"text/plain": self.text(), "text/html": self.html()}

    def _table(self) -> tuple[tuple[str, ...], ...]:
        """The header and the rows that are shown, without columns in which nothing stands."""
        rows = tuple(tuple(map(_cut, row)) for row in self.rows[:MAX_ROWS])
        filled = [i for i in range(len(self.header)) if i == 0 or any(row[i] for row in rows)]
        return tuple(tuple(row[i] for i in filled) for row in (self.header, *rows))

    def text(self) -> str:
        """As plain text."""
        parts = [self.title, *self.about]
        if self.rows:
            rows = self._table()
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            parts.append("")
            parts += [
                "  ".join(
                    cell.ljust(width) for cell, width in zip(row, widths, strict=True)
                ).rstrip()
                for row in rows
            ]
            parts += self._more()
        if self.code:
            parts += ["", *self.code]
        return "\n".join(parts)

    def html(self) -> str:
        """As HTML, in which all that is told is text."""
        parts = [f"<p><b>{html.escape(self.title)}</b></p>"]
        parts += [f"<p>{html.escape(line)}</p>" for line in self.about]
        if self.rows:
            header, *rows = self._table()
            head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
            body = "".join(
                "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
                for row in rows
            )
            parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
            parts += [f"<p>{html.escape(line)}</p>" for line in self._more()]
        parts += [f"<pre>{html.escape(line)}</pre>" for line in self.code]
        return "\n".join(parts)

    def _more(self) -> list[str]:
        left = len(self.rows) - MAX_ROWS
        return [f"… and {left} more"] if left > 0 else []


def _cut(cell: str) -> str:
    line = " ".join(cell.split())
    return line if len(line) <= MAX_CELL else line[: MAX_CELL - 1] + "…"
