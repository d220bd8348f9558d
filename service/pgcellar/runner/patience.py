"""Tells a person what a run waits for, but not of waits that nobody notices."""

from __future__ import annotations

import asyncio

from pgcellar.api import records
from pgcellar.runner import outputs

#: Seconds after which a person is told what a run waits for.
_NOTICED = 0.5


class Patience:
    """While this is held it is told what is waited for, if it takes long enough to be noticed.

    A timer, not a task: nearly always there is nothing to tell, and every run comes by here.
    """

    def __init__(self, emit: outputs.Emit, waits: str | records.Progress) -> None:
        self._emit = emit
        self._waits = records.Progress(message=waits) if isinstance(waits, str) else waits
        self._telling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_NOTICED, self._begin)

    async def __aexit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._telling is not None:
            await asyncio.gather(self._telling, return_exceptions=True)

    def _begin(self) -> None:
        self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        await self._emit(self._waits)
