"""Starts the kernel, as its kernelspec says."""

from __future__ import annotations

from ipykernel.kernelapp import IPKernelApp

from pgcellar_kernel import kernel

if __name__ == "__main__":
    IPKernelApp.launch_instance(kernel_class=kernel.PgcellarKernel)
