"""What a server's processes may use of the machine, set from outside, where user SQL can't reach.

A postmaster passes it on to every session that it starts from then on. What runs already, as its
own helpers, stays as it is.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import math
import os
import random
import sys
from collections.abc import Callable

from pgcellar.postgres import account as accounts
from pgcellar.postgres import commands, processes

logger = logging.getLogger(__name__)

#: Below what serves everybody, and the first to go where the machine's memory is used up.
_NICE = 5
_OOM_SCORE = 600
_SECONDS = 10.0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Restraints:
    """`memory` is what one session may have for itself, in bytes; `processors` of all sessions."""

    memory: float = math.inf
    processors: float = math.inf


async def apply(
    process: processes.Process, restraints: Restraints, account: accounts.Account | None
) -> None:
    """Restrain a postmaster, which runs as `account`; on Linux alone. A limit may be raised later.

    A session that wants more memory is told so by PostgreSQL (53200, out of memory), and goes on.
    """
    if sys.platform != "linux" or not process.alive():
        return
    await _limit_data(process.pid, restraints.memory, account)
    _try("its processors are not bounded", lambda: _bind(process.pid, restraints.processors))
    _try("it is as nice as we are", lambda: os.setpriority(os.PRIO_PROCESS, process.pid, _NICE))
    score = processes.PROC / str(process.pid) / "oom_score_adj"
    _try("it is not the first to go without memory", lambda: score.write_text(str(_OOM_SCORE)))


def _try(otherwise: str, restrain: Callable[[], object]) -> None:
    """Do without where the system does not let us, as root without CAP_SYS_NICE in a container."""
    try:
        restrain()
    except (ProcessLookupError, FileNotFoundError):
        # It has just ended.
        pass
    except OSError as exc:
        logger.warning("a sandbox is not restrained in all ways: %s: %s", otherwise, exc)


async def _limit_data(pid: int, most: float, account: accounts.Account | None) -> None:
    """Bound the private memory of a process: data, heap, and what it maps for itself.

    By util-linux's program, which runs as the process's user: root itself may not, in a container
    without CAP_SYS_RESOURCE. The hard limit stays, so that the soft one can be raised again.
    """
    soft = "unlimited" if math.isinf(most) else str(int(most))
    arguments = ["prlimit", f"--pid={pid}", f"--data={soft}:"]
    try:
        async with asyncio.timeout(_SECONDS):
            status, said = await commands.run(arguments, account)
    except (OSError, TimeoutError) as exc:
        status, said = 1, str(exc)
    if status:
        logger.warning("the memory of sessions is not bounded: %s", said.strip())


def _bind(pid: int, most: float) -> None:
    """Let a process use no more than so many of the processors that we may use ourselves."""
    ours = sorted(os.sched_getaffinity(0))
    count = len(ours) if math.isinf(most) else max(1, math.ceil(most))
    os.sched_setaffinity(pid, random.sample(ours, min(count, len(ours))))
