"""What the JupyterLab extension must know as PostgreSQL does."""

from __future__ import annotations

import pathlib
import re

from pglast import keywords

NAMES = pathlib.Path(__file__).parents[2] / "labextension" / "src" / "schema" / "names.ts"


def test_names_that_have_to_be_quoted() -> None:
    """All words that PostgreSQL's quote_ident quotes."""
    found = re.search(r"const WORDS = new Set\((.*?)\.split", NAMES.read_text(), re.DOTALL)
    assert found
    listed = " ".join(re.findall(r"'(.*?)'", found[1])).split()
    assert set(listed) == (
        keywords.RESERVED_KEYWORDS | keywords.TYPE_FUNC_NAME_KEYWORDS | keywords.COL_NAME_KEYWORDS
    )
