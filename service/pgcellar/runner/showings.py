"""Results that are shown otherwise than as a table: what the runner does for `\\chart`.

A chart changes nothing but what is seen. So where it can't be drawn, the cell has an error but its
state all the same, in the head as in the tail, where nothing is drawn.
"""

from __future__ import annotations

import dataclasses

from pgcellar.api import charts, errors, records
from pgcellar.notebook import cells, showing
from pgcellar.runner import outputs


class Charted:
    """The output of a query whose rows are drawn: more of them come than of a table."""

    def __init__(self, chart: showing.Chart, output: outputs.Output) -> None:
        self._chart = chart
        self._emit = output.emit
        self._columns: tuple[records.Column, ...] = ()
        most = output.max_rows
        if most >= records.DEFAULT_MAX_ROWS:
            # Whoever asks for few has a chart of those.
            most = max(most, charts.MAX_POINTS)
        self.output = dataclasses.replace(output, emit=self._note, max_rows=most)

    async def _note(self, event: records.Event) -> None:
        if isinstance(event, records.Columns):
            self._columns = event.columns
        await self._emit(event)

    def problem(self, step: cells.Step) -> records.SqlError | None:
        """Why it can't be drawn, if it can't."""
        try:
            charts.resolve(self._columns, self._chart)
        except charts.Unfit as exc:
            ending = step.origin.ending if step.origin is not None else None
            return records.SqlError(
                sqlstate=errors.Unsupported.code,
                message=exc.message,
                hint=exc.hint,
                position=None if ending is None or step.included else ending.start + 1,
            )
        return None


def completed(done: records.Completed, step: cells.Step, *, drawn: bool) -> records.Completed:
    """The end of a statement, with how its result is to be shown."""
    shown = step.shown
    return dataclasses.replace(
        done,
        expanded=step.expanded,
        explain=shown if isinstance(shown, showing.Explain) else None,
        chart=shown if isinstance(shown, showing.Chart) and drawn else None,
    )
