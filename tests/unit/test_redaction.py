"""pgcellar.api.redaction, and what is written down of statements."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcellar.api import redaction
from pgcellar.audit import statements

SECRET = "hunter2xyzzy"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://ann:{SECRET}@host/db",
        f"postgres://ann:p/{SECRET}@x@host:5432/db?sslmode=require",
        f"host=h user=u password={SECRET} dbname=d",
        f"password = '{SECRET} and \\' more{SECRET}' host=h",
        f'{{"client_secret": "{SECRET}"}}',
        f"Authorization: Bearer {SECRET}",
        f"Authorization: Basic {SECRET}{SECRET}",
        f"bearer {SECRET}",
        f"pgc_{SECRET}",
        f"the token pgc_{SECRET}.",
        f"?access_token={SECRET}&x=1",
        f"AWS_SECRET_ACCESS_KEY={SECRET}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
        f"api_key: {SECRET}",
        f"sslpassword={SECRET}",
    ],
)
def test_secrets_are_taken_out_of_texts(text: str) -> None:
    assert SECRET not in redaction.text(text)
    assert SECRET not in redaction.text(f"before ({text}) after")


@pytest.mark.parametrize(
    "secret",
    [
        f"postgresql://ann:p/{SECRET}@x@host",
        f"password = '{SECRET}",
        f"password='{SECRET}\\",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET * 20_000}",
        f"pgc_{SECRET * 20_000}",
        f"authorization: bearer {SECRET}",
        f"eyJ{SECRET}.{SECRET}.{SECRET}",
        "md5" + "0" * 31 + f" password={SECRET}",
        "w" * 56_000 + f"_password={SECRET}",
        "w" * 56_000 + f"-eyJ{SECRET}.{SECRET}.{SECRET}",
        "eyJaaaaa-" * 6_000 + f"eyJ{SECRET}.{SECRET}.{SECRET}",
        f"postgresql://ann:{SECRET * 1_000}@host",
    ],
)
def test_secrets_are_taken_out_of_long_texts_wherever_they_stand(secret: str) -> None:
    for left in (0, 5, 20, 60, 5_000):
        before = "x, " * (70_000 // 3)
        before = before[: len(before) - len(before) % 65_536 - left] + " "
        found = redaction.text(before + secret)
        assert found.startswith(before)
        assert SECRET not in found
        assert SECRET not in redaction.text(before * 2 + secret + " \n'\"" + before)


@given(
    st.lists(
        st.sampled_from(
            ["w" * 9_000, " ", "-", "'", '"', "\\", "@", "=", ".", "password=", "://u:",
             "eyJaaaaaa", "pgc_x", "x" * 65_536, ", " * 5_000, "bearer abcdefgh", "md5" + "0" * 32,
             "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"]
        ),
        max_size=12,
    )
)  # fmt: skip
def test_a_text_by_pieces_is_as_the_whole(parts: list[str]) -> None:
    text = "".join(parts)
    whole = text
    for pattern, masked in redaction._FORMS:
        whole = pattern.sub(masked, whole)
    assert redaction.text(text) == whole


def test_tokens_of_known_forms() -> None:
    assert redaction.text(f"got {JWT}") == "got ***"
    assert redaction.text(f"got-{JWT}") == "got-***"
    assert redaction.text("AKIAIOSFODNN7EXAMPLE") == "***"
    assert "abcdef" not in redaction.text("SCRAM-SHA-256$4096:abcdef==$gh+i/=:j=")


@pytest.mark.parametrize(
    "text",
    [
        "select 1",
        "https://host:80/path?x=1",
        "a@b.c",
        "token_id=5",
        "passwords are hashed",
        "key=5",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert redaction.text(text) == text


def test_details() -> None:
    found = redaction.details(
        {
            "password": SECRET,
            "user": {"clientSecret": 1, "client_secret": SECRET, "token_id": "t1", "token": None},
            "list": [f"password={SECRET}", 5, ("a", True)],
            f"pgc_{SECRET}": 1,
        }
    )
    assert SECRET not in str(found)
    assert found["user"]["token_id"] == "t1"
    assert found["user"]["token"] is None
    assert found["list"][1:] == [5, ["a", True]]


def test_deep_details_end() -> None:
    deep: object = {"password": SECRET}
    for _ in range(2000):
        deep = [deep]
    try:
        text = str(redaction.details({"a": [[[[[[[[[{"password": SECRET}]]]]]]]]]}))
    except RecursionError:
        pytest.fail("recursion")
    assert SECRET not in text


@pytest.mark.parametrize(
    "sql",
    [
        f"create role r password '{SECRET}'",
        f"ALTER ROLE r WITH ENCRYPTED PASSWORD '{SECRET}' VALID UNTIL 'infinity'",
        f"alter user r password /* c */ -- d\n '{SECRET}'",
        f"alter user r password E'{SECRET}\\'{SECRET}'",
        f"alter user r password $${SECRET}$$",
        f"alter user r password $x${SECRET}$x$",
        f"alter user r password U&'{SECRET}'",
        f"alter user r password '{SECRET}''{SECRET}'",
        f"alter user r password '{SECRET}",
        f"alter user r password 'first'\n  '{SECRET}'",
        f"alter user r password E'first' -- c\n '{SECRET}' valid until 'infinity'",
        f"create user mapping for u server s options (user 'u', password '{SECRET}')",
        f"alter user mapping for u server s options (set password '{SECRET}', token '{SECRET}')",
        f"create server s foreign data wrapper f options (host 'h', \"password\" '{SECRET}')",
        f"create subscription s connection 'host=h password={SECRET}' publication p",
        f"select dblink('postgresql://u:{SECRET}@h/d', 'select 1')",
        f"select set_config('my.password', '{SECRET}', false)",
        f"set my.secret = '{SECRET}'",
        f"set my.secret to '{SECRET}'",
        f"select f(api_key => '{SECRET}', x => 1)",
        f"select f(token := '{SECRET}')",
        f"\\set password {SECRET}",
        f"\\set api_token '{SECRET}'",
        f"\\c 'host=h password={SECRET}'",
        f"\\echo it's\nalter role r password '{SECRET}'",
        f"-- password={SECRET}\nselect 1",
        f"/* postgresql://u:{SECRET}@h */ select 1",
        f"update t set password = '{SECRET}'",
        f"select * from t where token='{SECRET}'",
        f"/* a /* b */ ' */ alter role r password '{SECRET}'",
        f"create function f() returns int language sql as $f$ alter role r password '{SECRET}' $f$",
        f"do $$ begin execute 'alter role r password ''{SECRET}'''; end $$",
    ],
)
@pytest.mark.parametrize("before", ["", "select 'it''s', \"a'b\", $q$it's$q$; "])
def test_secrets_are_taken_out_of_statements(before: str, sql: str) -> None:
    if sql.startswith("\\"):
        before = before and before + "\n"
    assert SECRET not in statements.redacted(before + sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select password, 'a' from t",
        "select 'password' as a, b from t where c = 'd'",
        "insert into t values ('x', 'y')",
        "alter role r password null; select 'x'",
        "select a\n  from t -- comment\n where b = E'\\'' and $1 = $$x$$",
        "create table token (id int); select 'a'",
    ],
)
def test_other_statements_stay(sql: str) -> None:
    assert statements.redacted(sql) == sql


def test_the_policies() -> None:
    sql = f"alter role r password '{SECRET}'"
    assert statements.Statements(policy="none").of(sql) == {}
    only = statements.Statements(policy="digest").of(sql)
    assert only == {"digest": statements.digest("alter role r password '***'")}
    both = statements.Statements().of(sql)
    assert both == {**only, "text": "alter role r password '***'"}
    long = statements.Statements().of("select 1;" * 20_000)
    assert len(long["text"]) == statements.MAX_TEXT
    assert long["characters"] == 180_000


@given(st.text(alphabet="'\"$aE\\-/*\n ;bx=:,(}é\0"))
def test_what_holds_no_secret_is_kept_to_the_letter(text: str) -> None:
    assert statements.redacted(text) == text


@pytest.mark.parametrize(
    "piece",
    ["'", '"', "$", "$a$", "/*", "--", "\\", "password ", "://a:", "eyJ", "pgc", "bearer ", "=",
     "-----BEGIN PRIVATE KEY", "password='", "a_", "E'\\", "' '", "$a",
     "eyJaaaaa-", "bearer        ", "://"],
)  # fmt: skip
def test_hostile_text_costs_no_more_than_its_length(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    begin = time.process_time()
    statements.redacted(text)
    redaction.text(text)
    assert time.process_time() - begin < 3
