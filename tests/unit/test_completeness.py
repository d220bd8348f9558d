"""pgcellar_kernel.completeness: when a console sends what was typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcellar_kernel import completeness


@pytest.mark.parametrize(
    "code",
    [
        *("", "  \n", "-- a comment", "/* a comment */", "/* ( */ -- '", ";", "select 1;"),
        *("select 1 ; -- done", "select 1; /* done */", "select 'a;b';", "select (1);", "\\d"),
        *("\\copy t from 'f'", "select 'it''s';", "select e'it\\'s';", 'select "a;""b";'),
        *("do $$ begin ( end $$;", "do $a$ $$ ' $a$;", "select '(';", "select 1); ", "select $1;"),
        *("select 1;\nselect 2;\n", "selct;", "select 1;\r\n", "select '\\';", "select $$;$$;"),
    ],
)
def test_complete(code: str) -> None:
    assert completeness.status(code) == "complete"


@pytest.mark.parametrize(
    "code",
    [
        *(
            "select 1",
            "select 1; select 2",
            "select 'a;",
            "select (1;",
            'select "a;',
            "select -- ;",
        ),
        *("select /* ;", "do $$ begin; end;", "do $a$ $$;", "select e'\\';", "select 1 /* ; */"),
        *("create table t (\n  a int,\n", "select ';'", "select 'a\n;\n", "select $$;"),
    ],
)
def test_incomplete(code: str) -> None:
    assert completeness.status(code) == "incomplete"


@given(
    st.text()
    | st.lists(st.sampled_from(["'", '"', "$$", "/*", "*/", "--", "\n", ";"])).map("".join)
)
def test_any_text_has_a_status(code: str) -> None:
    assert completeness.status(code) in ("complete", "incomplete")


def test_long_texts_take_linear_time() -> None:
    for piece in ("'", '"', "$", "$a", "$$ ", "/*", "-", "e'", "(", "e'\\"):
        completeness.status(piece * (100_000 // len(piece)))
