"""pgcellar_kernel.kernel: messages that are taken beside a cell leave it what it is."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import zmq
from jupyter_client import session

from pgcellar_kernel import kernel

#: More turns of the loop than a message takes to its place in the queue.
TURNS = 10


class Gated(kernel.PgcellarKernel):
    """Each message is taken for as long as its gate is closed; whose outputs came at its end."""

    def open(self, *kinds: str) -> None:
        self.session = session.Session(key=b"")
        self.gates = {kind: asyncio.Event() for kind in kinds}
        self.begun = {kind: asyncio.Event() for kind in kinds}
        self.ended: dict[str, str] = {}
        self.shared = contextvars.copy_context()

    def send(self, kind: str, name: str) -> asyncio.Task[None]:
        """A message comes, as ipykernel takes all of them in one context."""
        frames = self.session.serialize(self.session.msg(kind, {"name": name}))
        message = [zmq.Frame(frame) for frame in frames]
        return asyncio.create_task(self.shell_main(None, message), context=self.shared)

    async def dispatch_shell(self, msg: Any, /, *args: Any, **kwargs: Any) -> None:
        _, frames = self.session.feed_identities(msg, copy=False)
        told = self.session.deserialize(frames, copy=False)
        name = told["content"]["name"]
        self.set_parent([], told)
        self.begun[name].set()
        await self.gates[name].wait()
        self.ended[name] = self.get_parent()["content"]["name"]


def test_a_cell_keeps_its_outputs_when_a_comm_message_before_it_is_done() -> None:
    """One that came while the cell before it ran."""

    async def work() -> dict[str, str]:
        made = Gated()
        made.open("first", "told", "second")
        tasks = [made.send("execute_request", "first")]
        await made.begun["first"].wait()
        tasks += [made.send("comm_msg", "told"), made.send("execute_request", "second")]
        await made.begun["told"].wait()
        made.gates["first"].set()
        await made.begun["second"].wait()
        made.gates["told"].set()
        await tasks[1]
        made.gates["second"].set()
        await asyncio.gather(*tasks)
        return made.ended

    assert asyncio.run(work()) == {"first": "first", "told": "told", "second": "second"}


def test_comm_messages_are_taken_in_their_order_between_two_cells() -> None:
    """One that comes when a cell has ended, and the next one has not begun, waits for neither."""

    async def work() -> list[str]:
        made = Gated()
        made.open("first", "second", "told", "after")
        made.gates["told"].set()
        made.gates["after"].set()
        tasks = [made.send("execute_request", "first")]
        await made.begun["first"].wait()
        tasks.append(made.send("execute_request", "second"))
        for _ in range(TURNS):
            await asyncio.sleep(0)
        tasks.append(made.send("comm_msg", "told"))
        made.gates["first"].set()
        await made.begun["second"].wait()
        tasks.append(made.send("comm_msg", "after"))
        await tasks[-1]
        ended = list(made.ended)
        made.gates["second"].set()
        await asyncio.gather(*tasks)
        return ended

    assert asyncio.run(work()) == ["first", "told", "after"]
