"""Starts the kernel, as its kernelspec says."""

from __future__ import annotations

import logging
import os
from typing import Any

from ipykernel.kernelapp import IPKernelApp

from pgcellar_kernel import kernel


class KernelApp(IPKernelApp):
    """A kernel whose shell channel is read where its cells run.

    ipykernel gives the channel a thread of its own, for subshells; this kernel has none, and each
    message would go through two threads and two more sockets for nothing.
    """

    def init_control(self, context: Any) -> None:
        """Make the control channel, and no thread for the shell channel."""
        super().init_control(context)  # type: ignore[no-untyped-call]  # ipykernel is untyped
        self.shell_channel_thread = None


def main() -> None:
    """Run the kernel until it is shut down."""
    # ipykernel sends what is written to stderr, by whatever way, to the front end, where it costs
    # a graded cell its points. The log goes to where stderr led before.
    logging.basicConfig(stream=os.fdopen(os.dup(2), "w", buffering=1))
    # Nothing here prints, so there is nothing to redirect and to flush at every cell, nor to give
    # half a millisecond to arrive.
    KernelApp.outstream_class = None  # type: ignore[assignment]  # ipykernel checks for it
    KernelApp.launch_instance(kernel_class=kernel.PgcellarKernel)


if __name__ == "__main__":
    main()
