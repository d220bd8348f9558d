"""What every kernel imports stays lean."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence


def check(imports: str, heavy: Sequence[str]) -> None:
    """In a Python of its own, imports bring nothing of these along."""
    code = (
        f"import sys, {imports};"
        f"found = sorted(set({list(heavy)!r}) & set(sys.modules));"
        "sys.exit(', '.join(found) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_api_imports_nothing_of_the_idp() -> None:
    check(
        "pgcellar.api.client, pgcellar.api.identities, pgcellar.api.quotas",
        ("joserfc", "argon2", "cryptography", "pgcellar.identity", "psycopg"),
    )


def test_the_kernel_imports_no_parser_no_driver_and_no_server() -> None:
    check("pgcellar_kernel.__main__", ("pglast", "sqlglot", "psycopg", "jupyter_server"))


def test_the_kernel_imports_ipywidgets_when_a_cell_needs_it() -> None:
    check(
        "pgcellar_kernel.__main__",
        ("ipywidgets", "pgcellar_kernel.controls", "pgcellar_kernel.pager"),
    )
