"""Takes the one row of a query that `\\gset` ends, for variables."""

from __future__ import annotations

from pgcellar.api import errors, records
from pgcellar.notebook import psqlvars
from pgcellar.runner import connections, outputs

#: Bytes of the values that are kept.
MAX_BYTES = 256 * 1024


class Gathered:
    """What a query gives, by `output`, and what variables it sets, by `values` when it is over."""

    def __init__(self, prefix: str, statement: int) -> None:
        self._prefix = prefix
        self._statement = statement
        #: Whether it gives rows at all: an INSERT without RETURNING sets nothing.
        self.tabular = False
        self._names: list[str] = []
        self._rows: list[tuple[str | None, ...]] = []

    @property
    def output(self) -> outputs.Output:
        """Where the query's rows go."""
        return outputs.Output(
            emit=self._take,
            statement=self._statement,
            max_rows=2,
            max_bytes=MAX_BYTES,
            name_types=False,
        )

    async def _take(self, event: records.Event) -> None:
        if isinstance(event, records.Columns):
            self.tabular = True
            self._names.extend(column.name for column in event.columns)
        elif isinstance(event, records.Rows):
            self._rows.extend(event.rows)

    def values(self) -> dict[str, str | None]:
        """The row's values by their columns' names. Raises StatementFailed."""
        if not self.tabular:
            return {}
        if len(self._rows) != 1:
            count = "no rows" if not self._rows else "more than one row"
            raise _failed(
                f"{count} returned for \\gset", hint="The query must give exactly one row."
            )
        for name in self._names:
            if not psqlvars.is_name(self._prefix + name):
                raise _failed(
                    f'invalid variable name: "{self._prefix}{name}"',
                    hint="Give the column a name of letters, digits and underscores, by AS.",
                )
        return dict(zip(self._names, self._rows[0], strict=True))

    def warnings(self) -> list[records.Notice]:
        """Which variables psql leaves as they are, since it heeds them itself."""
        return [
            records.Notice(
                statement=self._statement,
                severity="WARNING",
                sqlstate="01000",
                message=f'attempt to \\gset into specially treated variable "{name}" ignored',
            )
            for name in (self._prefix + each for each in self._names)
            if name in psqlvars.HEEDED
        ]


def _failed(message: str, *, hint: str) -> connections.StatementFailed:
    return connections.StatementFailed(
        records.SqlError(sqlstate=errors.Unsupported.code, message=message, hint=hint)
    )
