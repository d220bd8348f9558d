"""Has an instance stand where a head begins, in idle time: there it is edited next."""

from __future__ import annotations

from pgcellar.notebook import cells
from pgcellar.runner import planner, planning, running, workspace


class Foresight:
    """See the module, for the head of one request that `plans` has."""

    def __init__(
        self,
        plans: planner.Planner,
        space: workspace.Workspace,
        notebook: workspace.Notebook,
        parsed: cells.Cells,
    ) -> None:
        self._planner = plans
        self._space = space
        self._notebook = notebook
        self._parsed = parsed

    async def edit(self) -> None:
        """Make the instance, if it is not there and can be made without the user's session.

        Raises CellFailed, or PgcellarError; cancelling is safe.
        """
        context = await self._planner.context()
        links, start = self._planner.walk(context)
        tail = links[: len(self._parsed) - 1]
        known = planning.Marks(self._planner.base(), tail)
        if len(known) < len(self._parsed) or start.live or links[-1].needs_base:
            return
        session = known[-1].session_bound or known[-1].sessions
        if session or start.whole or not planning.replayable(tail, start.index):
            return
        if not self._parsed.roles:
            async with self._space.switch.using(None):
                await self._stand(known, start, context)

    async def _stand(
        self, known: planning.Marks, start: planning.Start, context: running.Context
    ) -> None:
        """Make an instance, and replay the tail on it."""
        instance = await self._space.make(self._notebook, known[start.index])
        try:
            for parsed in self._parsed[start.index : -1]:
                link = self._space.chain.link(
                    instance.mark, parsed, context.digests, context.include
                )
                if link.after is not None and not link.runs:
                    instance.mark = link.after
                else:
                    session = await self._space.maker.connect(instance)
                    done = await running.run_cell(instance, session, parsed, context, None)
                    instance.replay_ms += done.ms
                    await self._space.settle(instance, done, context)
        except BaseException:
            self._space.drop(self._notebook, instance)
            raise
