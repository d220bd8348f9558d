"""What every kernel imports stays lean."""

from __future__ import annotations

import subprocess
import sys


def test_the_api_imports_nothing_of_the_idp() -> None:
    code = (
        "import sys, pgcellar.api.client, pgcellar.api.identities, pgcellar.api.quotas;"
        "heavy = ('joserfc', 'argon2', 'cryptography', 'pgcellar.identity', 'psycopg');"
        "sys.exit(str([m for m in heavy if m in sys.modules]) if set(heavy) & set(sys.modules)"
        " else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_kernel_imports_ipywidgets_when_a_cell_needs_it() -> None:
    code = (
        "import sys, pgcellar_kernel.kernel;"
        "heavy = ('ipywidgets', 'pgcellar_kernel.controls', 'pgcellar_kernel.pager');"
        "sys.exit(str([m for m in heavy if m in sys.modules]) if set(heavy) & set(sys.modules)"
        " else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
