"""pgcellar_kernel.kernel: messages that are taken beside a cell leave it what it is."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import zmq
from jupyter_client import session

from pgcellar_kernel import kernel


class Gated(kernel.PgcellarKernel):
    """Each message is taken for as long as its gate is closed; whose outputs came at its end."""

    def open(self, *kinds: str) -> None:
        self.session = session.Session(key=b"")
        self.gates = {kind: asyncio.Event() for kind in kinds}
        self.begun = {kind: asyncio.Event() for kind in kinds}
        self.ended: dict[str, str] = {}

    async def dispatch_shell(self, msg: Any, /, *args: Any, **kwargs: Any) -> None:
        _, frames = self.session.feed_identities(msg, copy=False)
        told = self.session.deserialize(frames, copy=False)
        name = told["content"]["name"]
        self.set_parent([], told)
        self.begun[name].set()
        await self.gates[name].wait()
        self.ended[name] = self.get_parent()["content"]["name"]


def test_a_cell_keeps_its_outputs_when_a_comm_message_before_it_is_done() -> None:
    """One that came while the cell before it ran, as ipykernel takes both in one context."""

    async def work() -> dict[str, str]:
        made = Gated()
        made.open("first", "told", "second")
        shared = contextvars.copy_context()

        def send(kind: str, name: str) -> asyncio.Task[None]:
            frames = made.session.serialize(made.session.msg(kind, {"name": name}))
            message = [zmq.Frame(frame) for frame in frames]
            return asyncio.create_task(made.shell_main(None, message), context=shared)

        tasks = [send("execute_request", "first")]
        await made.begun["first"].wait()
        tasks += [send("comm_msg", "told"), send("execute_request", "second")]
        await made.begun["told"].wait()
        made.gates["first"].set()
        await made.begun["second"].wait()
        made.gates["told"].set()
        await tasks[1]
        made.gates["second"].set()
        await asyncio.gather(*tasks)
        return made.ended

    assert asyncio.run(work()) == {"first": "first", "told": "told", "second": "second"}
