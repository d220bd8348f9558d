"""`pgcellar admin` and the routes behind it: who administers can, and nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.fixtures_central import ADMINISTRATOR, PASSWORD, Central
from tests.fixtures_service import CommandLine


@pytest.fixture(scope="module")
def administrator(central: Central) -> Iterator[httpx.Client]:
    """Whom the settings name."""
    with central.registered(ADMINISTRATOR) as made:
        yield made


def subject(who: httpx.Client) -> str:
    """Whose client it is."""
    return str(who.get("/me").json()["subject"])


def admin(central: Central, *arguments: str) -> Any:
    """What `pgcellar admin … --json` prints."""
    return central.cli.json("admin", *arguments)


def acts(who: httpx.Client, action: str, target: str) -> list[Any]:
    """What the audit log has of something."""
    found = who.get("/audit", params={"action": action, "target": target}).json()
    return list(found["records"])


def test_accounts_are_found_by_pages(central: Central) -> None:
    made = []
    for number in range(3):
        with central.registered(f"page{number}@example.org") as who:
            made.append(subject(who))
    found = admin(central, "users", "list", "--search", "PAGE", "--limit", "2")
    assert [each["subject"] for each in found["accounts"]] == [made[2], made[1]]
    assert found["next"] == made[1]
    rest = admin(central, "users", "list", "--search", "page", "--after", found["next"])
    assert [each["subject"] for each in rest["accounts"]] == [made[0]]
    assert rest["next"] is None
    assert admin(central, "users", "list", "--search", "page%")["accounts"] == []
    shown = admin(central, "users", "show", made[0])
    assert shown["logins"] == [{"provider": "password", "id": "page0@example.org"}]
    assert shown["sessions"] == 1
    printed = central.cli("admin", "users", "list", "--search", made[0])
    assert made[0] in printed.stdout
    assert "disabled" in printed.stdout.splitlines()[1]


def test_accounts_are_made_for_others(central: Central, administrator: httpx.Client) -> None:
    done = central.cli(
        "admin", "users", "add", "New@Example.org", "--name", "New", "--json", said=f"{PASSWORD}\n"
    )
    made = json.loads(done.stdout)
    assert made["logins"] == [{"provider": "password", "id": "new@example.org"}]
    assert (made["name"], made["kind"], made["roles"]) == ("New", "registered", [])
    login = {"email": "new@example.org", "password": PASSWORD}
    with central.client() as stranger:
        assert stranger.post("/identity/password", json=login).json()["subject"] == made["subject"]
        assert stranger.post("/identity/accounts", json=login).status_code == 401
    again = central.cli("admin", "users", "add", "new@example.org", said=f"{PASSWORD}\n")
    assert again.returncode == 2
    assert "There is an account with this login." in again.stderr
    short = central.cli("admin", "users", "add", "short@example.org", said="short\n")
    assert "at least 10 characters" in short.stderr
    other = {"email": "made@example.org", "password": PASSWORD}
    assert administrator.post("/identity/accounts", json=other).status_code == 201
    with central.registered("plain@example.org") as who:
        assert who.post("/identity/accounts", json=other).status_code == 403
    assert acts(administrator, "account.add", made["subject"])


def test_who_is_disabled_is_out_at_once(central: Central, administrator: httpx.Client) -> None:
    with central.registered("out@example.org") as who, central.client() as stranger:
        out = subject(who)
        program = who.post("/identity/tokens", json={"name": "ci", "scopes": ["*"]}).json()
        with central.client(program["secret"]) as running:
            assert running.get("/me").status_code == 200
            done = central.cli("admin", "users", "disable", out)
            assert done.returncode == 0, done.stderr
            assert who.get("/me").status_code == 401
            assert running.get("/me").status_code == 401
        login = {"email": "out@example.org", "password": PASSWORD}
        assert stranger.post("/identity/password", json=login).status_code == 403
        assert out in {
            each["subject"] for each in admin(central, "users", "list", "--disabled")["accounts"]
        }
        assert admin(central, "users", "enable", out)["disabled"] is False
        assert stranger.post("/identity/password", json=login).status_code == 200
        (record,) = acts(administrator, "account.disable", out)
        assert record["kind"] == "os"
        assert acts(administrator, "account.enable", out)


def test_roles(central: Central, administrator: httpx.Client) -> None:
    with central.registered("helper@example.org") as who, central.client() as stranger:
        helper = subject(who)
        assert admin(central, "users", "role", helper, "administrator")["roles"] == [
            "administrator"
        ]
        login = {"email": "helper@example.org", "password": PASSWORD}
        tokens = stranger.post("/identity/password", json=login).json()
        with central.client(tokens["access_token"]) as promoted:
            assert promoted.get("/identity/accounts").status_code == 200
            own = promoted.patch(f"/identity/accounts/{helper}", json={"disabled": True})
            assert own.status_code == 409
            assert admin(central, "users", "role", helper, "none")["roles"] == []
            assert promoted.get("/identity/accounts").status_code == 401
    with central.anonymous() as guest:
        refused = central.cli("admin", "users", "role", subject(guest), "administrator")
        assert refused.returncode == 2
        assert "anonymous" in refused.stderr
    assert acts(administrator, "role.set", helper)


def test_classes_from_the_command_line(central: Central) -> None:
    with central.registered("teach@example.org") as teacher, central.anonymous() as ann:
        made = admin(central, "classes", "create", "Databases 2", "--teacher", subject(teacher))
        which = made["id"]
        assert ann.post("/profiles/classes/join", json={"code": made["join_code"]}).is_success
        role = {"role": "student"}
        at = f"/profiles/classes/{which}"
        assert which in {each["id"] for each in admin(central, "classes", "list")["classes"]}
        members = admin(central, "classes", "members", which)["members"]
        assert [(each["subject"], each["role"]) for each in members] == [
            (subject(teacher), "teacher"),
            (subject(ann), "student"),
        ]
        admin(central, "classes", "members", which, "--teacher", subject(ann))
        assert ann.get(f"{at}/quotas").json() == {"quotas": {}}
        admin(central, "classes", "members", which, "--student", subject(ann))
        assert ann.get(f"{at}/quotas").status_code == 403
        assert ann.patch(f"{at}/members/{subject(ann)}", json=role).status_code == 403
        set_to = admin(central, "classes", "quotas", which, "memory_bytes=1GiB")
        assert set_to == {"quotas": {"memory_bytes": 2.0**30}}
        assert admin(central, "quotas", "set", f"class:{which}", "memory_bytes=default") == {
            "quotas": {}
        }
        code = admin(central, "classes", "code", which)["join_code"]
        assert code != made["join_code"]
        admin(central, "classes", "members", which, "--remove", subject(ann))
        assert ann.get(at).status_code == 404
        admin(central, "classes", "remove", which)
        assert teacher.get(at).status_code == 404
    nobody = central.cli("admin", "classes", "create", "Three", "--teacher", "nobody")
    assert nobody.returncode == 2
    assert "no such account" in nobody.stderr


def test_limits_of_somebody(central: Central) -> None:
    with central.anonymous() as ann:
        who = subject(ann)
        found = admin(central, "quotas", "set", who, "runs_per_minute=7", "cpu=2")
        assert found["set"] == {"cpu": 2, "runs_per_minute": 7}
        assert found["quotas"]["runs_per_minute"]["limit"] == 7
        assert found["quotas"]["memory_bytes"]["limit"] == 2**29
        printed = central.cli("admin", "quotas", "show", who).stdout
        assert "runs_per_minute" in printed
        unset = admin(central, "quotas", "set", who, "cpu=default")
        assert unset["set"] == {"runs_per_minute": 7}
    for wrong, told in (("cpus=1", "There is no limit 'cpus'"), ("cpu=many", "NAME=VALUE")):
        refused = central.cli("admin", "quotas", "set", who, wrong)
        assert refused.returncode == 2
        assert told in refused.stderr
    missing = central.cli("admin", "quotas", "set", "nobody", "cpu=1")
    assert "no such account" in missing.stderr


def test_others_tokens_and_the_keys(central: Central, administrator: httpx.Client) -> None:
    with central.registered("tokens@example.org") as who:
        one = subject(who)
        made = [
            who.post("/identity/tokens", json={"name": name, "scopes": ["runs"]}).json()
            for name in ("first", "second")
        ]
        found = admin(central, "tokens", "list", one)["tokens"]
        assert {each["id"] for each in found} == {each["id"] for each in made}
        assert all("secret" not in each for each in found)
        left = admin(central, "tokens", "revoke", one, "--token", made[0]["id"])["tokens"]
        assert [each["id"] for each in left] == [made[1]["id"]]
        again = central.cli("admin", "tokens", "revoke", one, "--token", made[0]["id"])
        assert again.returncode == 2
        assert who.get("/me").status_code == 200
        key = admin(central, "keys", "rotate")["key"]
        # What the key before has signed is good until it expires.
        assert who.get("/me").status_code == 200
        keys = who.get("/identity/jwks").json()["keys"]
        assert key in {each["kid"] for each in keys}
        assert acts(administrator, "key.rotate", key)
        assert admin(central, "tokens", "revoke", one) == {"tokens": []}
        assert who.get("/me").status_code == 401
    assert acts(administrator, "session.revoke", one)


def test_others_sessions(central: Central, administrator: httpx.Client) -> None:
    with central.registered("sessions@example.org") as who, central.client() as stranger:
        one = subject(who)
        login = {"email": "sessions@example.org", "password": PASSWORD}
        tokens = stranger.post("/identity/password", json=login).json()
        with central.client(tokens["access_token"]) as again:
            newest = again.get("/identity/me").json()["token"]
            found = admin(central, "tokens", "sessions", one)
            assert found["next"] is None
            assert [each["id"] for each in found["sessions"]] == [
                newest,
                who.get("/identity/me").json()["token"],
            ]
            # To whoever administers none of them is the current one.
            assert not any(each["current"] for each in found["sessions"])
            assert newest in central.cli("admin", "tokens", "sessions", one).stdout
            at = f"/identity/accounts/{one}/sessions"
            first = administrator.get(at, params={"limit": 1}).json()
            assert [each["id"] for each in first["sessions"]] == [first["next"]] == [newest]
            admin(central, "tokens", "revoke", one, "--token", newest)
            assert again.get("/me").status_code == 401
        assert len(admin(central, "tokens", "sessions", one)["sessions"]) == 1
        assert admin(central, "users", "show", one)["sessions"] == 1
        assert who.get("/me").status_code == 200
    assert administrator.get("/identity/accounts/nobody/sessions").status_code == 404
    assert acts(administrator, "token.revoke", newest)


def test_nobody_else_administers(central: Central) -> None:
    with (
        central.registered("other@example.org") as other,
        central.registered("victim@example.org") as victim,
        central.anonymous() as ann,
        central.client() as stranger,
    ):
        account = f"/identity/accounts/{subject(victim)}"
        for who, status in ((other, 403), (ann, 403), (victim, 403), (stranger, 401)):
            for method, path, body in (
                ("GET", "/identity/accounts", None),
                ("GET", account, None),
                ("GET", "/identity/accounts/nobody", None),
                ("PATCH", account, {"disabled": True}),
                ("PATCH", account, {"administrator": True}),
                ("PATCH", account, {"nonsense": 1}),
                ("GET", f"{account}/tokens", None),
                ("DELETE", f"{account}/tokens", None),
                ("GET", f"{account}/sessions", None),
                ("DELETE", f"{account}/tokens/{'0' * 32}", None),
                ("POST", "/identity/keys/rotate", {}),
                ("GET", f"/profiles/subjects/{subject(victim)}/quotas", None),
                ("POST", "/profiles/classes", {"name": "mine"}),
            ):
                answer = who.request(method, path, json=body)
                assert answer.status_code == status, (method, path, answer.text)
                assert answer.headers["Content-Type"] == "application/problem+json"
        # An administrator's token that does not say so is not one's.
        assert victim.get("/me").status_code == 200


def test_a_token_without_the_scope_does_not_administer(
    central: Central, administrator: httpx.Client
) -> None:
    made = administrator.post("/identity/tokens", json={"name": "ci", "scopes": ["runs"]}).json()
    with central.client(made["secret"]) as program:
        assert program.get("/identity/accounts").status_code == 403


def test_bad_filters_are_said_to_be(administrator: httpx.Client) -> None:
    for query in ("limit=0", "limit=501", "kind=cat", "disabled=1", "role=king", "search"):
        name, _, value = query.partition("=")
        answer = administrator.get("/identity/accounts", params={name: value or "x" * 101})
        assert answer.status_code == 400, query
    unknown = administrator.get("/identity/accounts/nobody")
    assert unknown.status_code == 404


def test_the_audit_log_from_the_command_line(central: Central) -> None:
    with central.anonymous() as guest:
        subject = guest.get("/me").json()["subject"]
    found = central.cli.json("admin", "audit", "show", "--subject", subject)["records"]
    assert [each["action"] for each in found] == ["login.anonymous"]
    assert central.cli.json("admin", "audit", "verify")["ok"] is True
    assert subject in central.cli("admin", "audit", "export", "--csv").stdout


def test_where_identity_is_not_enabled_it_is_said(fresh_cli: CommandLine) -> None:
    for arguments in (("users", "list"), ("keys", "rotate"), ("quotas", "show", "ann")):
        done = fresh_cli("admin", *arguments)
        assert done.returncode == 2
        assert "identity is not enabled" in done.stderr
        assert "c.Identity.enabled = True" in done.stderr


def test_tokens_of_ones_own_from_the_command_line(central: Central) -> None:
    """On a server, with a token; and of the service's own user."""
    url = central.url.removesuffix("/pgcellar/api/v1")
    with central.registered("cli@example.org") as who:
        access = who.headers["Authorization"].removeprefix("Bearer ")

        def token(*arguments: str, shown: str = access) -> Any:
            done = central.cli("token", *arguments, "--server", url, "--json", PGCELLAR_TOKEN=shown)
            return json.loads(done.stdout)

        assert token()["tokens"] == []
        made = token("create", "laptop", "--days", "2")
        assert (made["name"], made["scopes"]) == ("laptop", ["runs", "files"])
        with central.client(made["secret"]) as program:
            assert program.get("/runs").status_code == 200
            listed = token("list")["tokens"]
            assert [each["id"] for each in listed] == [made["id"]]
            assert "secret" not in listed[0]
            # A token may not make others that may do more.
            assert (
                "scope `tokens`" in token("create", "x", shown=made["secret"])["error"]["message"]
            )
            assert token("revoke", made["id"])["tokens"] == []
            assert program.get("/runs").status_code == 401
        assert token("revoke", made["id"])["error"]["sqlstate"] == "PC002"
        (opened,) = token("sessions")["sessions"]
        assert (opened["current"], opened["scopes"]) == (True, ["*"])
        assert "no token's id" in token("revoke", "laptop")["error"]["message"]
        assert "no name" in token("create")["error"]["message"]
    without = central.cli("token", "--server", url)
    assert without.returncode == 2
    assert "There is no token" in without.stderr
    mine = central.cli.json("token", "create", "ci", "--scope", "admin", "--scope", "me")
    assert mine["scopes"] == ["admin", "me"]
    with central.client(mine["secret"]) as program:
        assert program.get("/identity/accounts").status_code == 200
        assert program.get("/runs").status_code == 403
    printed = central.cli("token", "list")
    assert mine["id"] in printed.stdout
    assert mine["secret"] not in printed.stdout
    assert central.cli.json("token", "sessions")["sessions"] == []
    revoked = central.cli.json("token", "revoke", mine["id"])
    assert (revoked["mode"], revoked["tokens"]) == ("embedded", [])
