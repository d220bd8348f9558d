"""The HTTP faces of the idp and the profiles, over loopback, with tokens only."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import re
import urllib.parse
from collections.abc import AsyncIterator
from typing import Any

import argon2
import httpx
import pytest
import tornado.httpserver
import tornado.testing
import tornado.web
from cryptography import fernet
from tests.fixtures_identity import Acts

from pgcellar.api import errors, identities, quotas
from pgcellar.control import database
from pgcellar.identity import composing, oidc, passwords, providers, sealing, throttle
from pgcellar.identity import handlers as identity_handlers
from pgcellar.profiles import handlers as profile_handlers
from pgcellar.web import authentication, base, pacing

KEY = fernet.Fernet.generate_key().decode()
AT = "/api"
NUMBERS = itertools.count(1)
ROOT = identities.Identity(
    subject="root", name="root", kind="os", roles=(identities.ADMINISTRATOR,)
)


async def holding(subject: str) -> dict[quotas.Limit, float]:
    """What everybody holds."""
    return {"sandboxes": 1}


class Served:
    """The services on a port."""

    def __init__(self, db: database.ControlDatabase, acts: Acts, issuer: str | None) -> None:
        socket, port = tornado.testing.bind_unused_port()
        self.url = f"http://127.0.0.1:{port}{AT}"

        def found(accounts: Any) -> list[providers.Provider | providers.Redirecting]:
            quick = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
            known: list[providers.Provider | providers.Redirecting] = [
                passwords.Passwords(accounts, quick),
                providers.JupyterServer("here"),
            ]
            if issuer is not None:
                back = f"{self.url}/identity/oidc/school/callback"
                known.append(
                    oidc.OpenId(
                        "school", issuer=issuer, client="pgcellar", secret="s", redirect=back
                    )
                )
            return known

        self.parts = composing.compose(
            db,
            sealing.Sealer(KEY),
            acts,
            issuer=self.url,
            audience=authentication.AUDIENCE,
            found=found,
            anonymous=True,
            registration=True,
        )
        profiles = profile_handlers.compose(db, acts)
        self.routes = [
            *identity_handlers.routes(AT, self.parts),
            *profile_handlers.routes(AT, profiles, holding),
        ]
        app = tornado.web.Application(
            self.routes,
            default_handler_class=base.Missing,
            log_function=lambda handler: None,
            pgcellar_authentication=authentication.Authentication(verifier=self.parts.sessions),
            pgcellar_pace=pacing.Pace(),
        )
        self.server = tornado.httpserver.HTTPServer(app)
        self.server.add_socket(socket)


@pytest.fixture
async def served(control: database.ControlDatabase, acts: Acts) -> AsyncIterator[Served]:
    """The services."""
    found = Served(control, acts, None)
    yield found
    found.server.stop()
    await found.server.close_all_connections()


@pytest.fixture
async def client(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    async with httpx.AsyncClient(base_url=served.url) as found:
        yield found


def bearer(tokens: dict[str, Any]) -> dict[str, str]:
    """The header that shows an access token."""
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def test_from_a_guest_to_a_class(served: Served, client: httpx.AsyncClient) -> None:
    guest = (await client.post("/identity/anonymous")).json()
    login = {"email": f"a{next(NUMBERS)}@b.c", "password": "correct horse"}
    answer = await client.post("/identity/upgrade", json=login, headers=bearer(guest))
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json()["subject"] == guest["subject"]
    tokens = (await client.post("/identity/password", json=login)).json()
    fresh = (
        await client.post("/identity/refresh", json={"refresh_token": tokens["refresh_token"]})
    ).json()
    client.headers.update(bearer(fresh))
    me = (await client.get("/identity/me")).json()
    assert (me["subject"], me["kind"]) == (guest["subject"], "registered")
    made = await client.post("/identity/tokens", json={"name": "ci", "scopes": ["profiles"]})
    assert made.status_code == 201
    secret = made.json()["secret"]
    assert secret not in (await client.get("/identity/tokens")).text
    exchanged = (await client.post("/identity/exchange", json={"token": secret})).json()
    for header in (bearer(exchanged), {"Authorization": f"Bearer {secret}"}):
        assert (await client.get("/profiles/me", headers=header)).status_code == 200
        refused = await client.get("/identity/tokens", headers=header)
        assert refused.status_code == 403
        assert "scope `tokens`" in refused.json()["detail"]
    changed = await client.patch("/profiles/me/preferences", json={"theme": "dark"})
    assert changed.json() == {"preferences": {"theme": "dark"}}
    quotas = (await client.get("/profiles/me/quotas")).json()["quotas"]
    assert quotas["runs_per_minute"]["left"] == 120
    gone = await client.delete(f"/identity/tokens/{made.json()['id']}")
    assert gone.status_code == 204
    refused = await client.get("/profiles/me", headers={"Authorization": f"Bearer {secret}"})
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert (await client.delete("/identity/tokens")).status_code == 204
    assert (await client.get("/identity/me")).status_code == 401


async def test_classes_over_http(served: Served, client: httpx.AsyncClient) -> None:
    root = await served.parts.management.create(ROOT, name="ci", scopes=["*"])
    admin = {"Authorization": f"Bearer {root['secret']}"}
    made = (await client.post("/profiles/classes", json={"name": "SQL"}, headers=admin)).json()
    guest = (await client.post("/identity/anonymous")).json()
    client.headers.update(bearer(guest))
    joined = await client.post("/profiles/classes/join", json={"code": made["join_code"]})
    assert joined.json()["role"] == "student"
    at = f"/profiles/classes/{made['id']}"
    assert (await client.patch(at, json={"name": "x"})).status_code == 403
    assert (await client.get("/profiles/classes/0123456789abcdef")).status_code == 404
    limited = await client.patch(f"{at}/quotas", json={"sandboxes": 3}, headers=admin)
    assert limited.status_code == 204
    mine = (await client.get("/profiles/me/quotas")).json()["quotas"]
    assert mine["sandboxes"] == {"limit": 3, "used": 1}
    member = f"{at}/members/{guest['subject']}"
    roled = await client.patch(member, json={"role": "teacher"}, headers=admin)
    assert roled.status_code == 204
    assert (await client.post(f"{at}/code")).json()["join_code"] != made["join_code"]
    assert (await client.delete(member)).status_code == 204
    subject = f"/profiles/subjects/{guest['subject']}/quotas"
    assert (await client.patch(subject, json={"cpu": 4})).status_code == 403
    assert (await client.patch(subject, json={"cpu": 4}, headers=admin)).status_code == 204
    assert (await client.delete(at, headers=admin)).status_code == 204


PUBLIC = {
    "/identity/anonymous", "/identity/password", "/identity/login/x", "/identity/register",
    "/identity/refresh", "/identity/exchange", "/identity/jwks", "/identity/oidc/x/start",
    "/identity/oidc/x/callback",
}  # fmt: skip


async def test_only_what_is_listed_is_open_to_strangers(
    served: Served, client: httpx.AsyncClient
) -> None:
    sample = {
        "([a-z][a-z0-9_-]{0,40})": "x",
        "([0-9a-f]{32})": "0" * 32,
        "([0-9a-f]{16})": "0" * 16,
        "([A-Za-z0-9_.:@-]{1,80})": "s",
    }
    for pattern, handler, _ in served.routes:
        path = pattern.removeprefix(AT)
        for part, value in sample.items():
            path = path.replace(part, value)
        methods = [m for m in handler.SUPPORTED_METHODS if m.lower() in vars(handler)]
        assert methods
        for method in methods:
            answer = await client.request(method, path, json={})
            assert answer.headers["Content-Type"].startswith("application/")
            assert (answer.status_code != 401) or path not in PUBLIC or "callback" in path
            assert (path in PUBLIC) == handler.public
            if not handler.public:
                assert answer.status_code == 401, path


async def test_the_word_for_somebody_else_is_taken_from_services_only(
    served: Served, client: httpx.AsyncClient
) -> None:
    user = {"username": "ann"}
    at = "/identity/login/jupyter_server"
    guest = (await client.post("/identity/anonymous")).json()
    assert (await client.post(at, json=user)).status_code == 401
    assert (await client.post(at, json=user, headers=bearer(guest))).status_code == 403
    for scope, status in (("runs", 403), ("identity", 200)):
        token = await served.parts.sessions.service("gateway", authentication.AUDIENCE, [scope])
        shown = {"Authorization": f"Bearer {token}"}
        assert (await client.post(at, json=user, headers=shown)).status_code == status


async def test_a_reused_refresh_token_is_answered_properly(client: httpx.AsyncClient) -> None:
    guest = (await client.post("/identity/anonymous")).json()
    shown = {"refresh_token": guest["refresh_token"]}
    assert (await client.post("/identity/refresh", json=shown)).status_code == 200
    again = await client.post("/identity/refresh", json=shown)
    assert again.status_code == 401
    assert "used before" in again.json()["detail"]


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"refresh_token": 3}', b"[" * 100_000])
async def test_bad_bodies_are_bad_requests(client: httpx.AsyncClient, body: bytes) -> None:
    for at in ("refresh", "exchange", "password", "register"):
        answer = await client.post(f"/identity/{at}", content=body)
        assert answer.status_code == 400
        assert answer.json()["code"] == "PC001"


async def test_open_sessions_are_listed_and_end_one_by_one(
    served: Served, client: httpx.AsyncClient, control: database.ControlDatabase
) -> None:
    shown = {"email": f"a{next(NUMBERS)}@b.c", "password": "correct horse"}
    opened = [(await client.post("/identity/register", json=shown)).json()]
    for _ in range(3):
        opened.append((await client.post("/identity/password", json=shown)).json())
    other = (await client.post("/identity/anonymous")).json()
    ids = [
        (await client.get("/identity/me", headers=bearer(each))).json()["token"]
        for each in (*opened, other)
    ]
    refresh = {"refresh_token": opened[0]["refresh_token"]}
    opened[0] = (await client.post("/identity/refresh", json=refresh)).json()

    async def listed(tokens: dict[str, Any], **query: object) -> httpx.Response:
        answer = await client.get("/identity/sessions", params=query, headers=bearer(tokens))
        # No secret, nor what is kept of one.
        for each in (*opened, other):
            for secret in (each["refresh_token"], each["access_token"]):
                assert secret not in answer.text
                assert hashlib.sha256(secret.encode()).hexdigest() not in answer.text
        return answer

    found = (await listed(opened[1])).json()
    assert found["next"] is None
    assert [each["id"] for each in found["sessions"]] == ids[3::-1]
    assert [each["current"] for each in found["sessions"]] == [False, False, True, False]
    assert [each["last_used"] is None for each in found["sessions"]] == [True, True, True, False]
    for each in found["sessions"]:
        assert each.keys() == {"id", "scopes", "created", "last_used", "expires", "current"}
        assert each["scopes"] == ["*"]
        assert each["created"] < each["expires"]
    first = (await listed(opened[1], limit=3)).json()
    rest = (await listed(opened[1], limit=3, after=first["next"])).json()
    assert (first["next"], rest["next"]) == (ids[1], None)
    assert [each["id"] for each in first["sessions"] + rest["sessions"]] == ids[3::-1]
    (alone,) = (await listed(other)).json()["sessions"]
    assert (alone["id"], alone["current"]) == (ids[4], True)
    # Another's leads nowhere.
    assert (await listed(other, after=ids[2])).json()["sessions"] == []
    for wrong in ({"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"after": "x"}, {"after": "\0"}):
        assert (await listed(other, **wrong)).status_code == 400
    gone = await client.delete(f"/identity/tokens/{ids[2]}", headers=bearer(other))
    assert gone.status_code == 404
    gone = await client.delete(f"/identity/tokens/{ids[2]}", headers=bearer(opened[1]))
    assert gone.status_code == 204
    assert (await client.get("/identity/me", headers=bearer(opened[2]))).status_code == 401
    refresh = {"refresh_token": opened[2]["refresh_token"]}
    assert (await client.post("/identity/refresh", json=refresh)).status_code == 401
    await control.execute("update grants set expires = now() where id = %s", (ids[3],))
    left = (await listed(opened[1], after=ids[2])).json()["sessions"]
    assert [each["id"] for each in left] == [ids[1], ids[0]]
    assert [each["id"] for each in (await listed(opened[1])).json()["sessions"]] == ids[1::-1]


async def test_what_a_token_may_do_with_sessions_its_scopes_say(client: httpx.AsyncClient) -> None:
    shown = {"email": f"a{next(NUMBERS)}@b.c", "password": "correct horse"}
    client.headers.update(bearer((await client.post("/identity/register", json=shown)).json()))
    mine = (await client.get("/identity/me")).json()["token"]
    for scope, listing, ending in (("runs", 403, 403), ("tokens:read", 200, 403)):
        asked = {"name": "t", "scopes": [scope]}
        made = (await client.post("/identity/tokens", json=asked)).json()
        header = {"Authorization": f"Bearer {made['secret']}"}
        answer = await client.get("/identity/sessions", headers=header)
        assert answer.status_code == listing
        ended = await client.delete(f"/identity/tokens/{mine}", headers=header)
        assert ended.status_code == ending
    # It is no session itself, and is not the current one.
    (found,) = answer.json()["sessions"]
    assert (found["id"], found["current"]) == (mine, False)


async def test_keys_are_public_and_only_public(served: Served, client: httpx.AsyncClient) -> None:
    await client.post("/identity/anonymous")
    found = (await client.get("/identity/jwks")).json()["keys"]
    assert found
    assert all(set(key) == {"kty", "crv", "x", "kid", "use", "alg"} for key in found)


# --- OpenID Connect ------------------------------------------------------------------------------


@pytest.fixture
async def school(
    control: database.ControlDatabase, acts: Acts, issuer: str
) -> AsyncIterator[Served]:
    """The services, where one can log in at an OpenID provider."""
    found = Served(control, acts, issuer)
    yield found
    found.server.stop()
    await found.server.close_all_connections()


async def authorize(client: httpx.AsyncClient, school: Served, who: str, **headers: str) -> str:
    """Log in at the provider in a browser; where it is sent back to."""
    begun = await client.post(f"{school.url}/identity/oidc/school/start", headers=headers)
    url = begun.json()["url"]
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    assert query["code_challenge_method"] == ["S256"]
    assert len(query["code_challenge"][0]) == 43
    cookie = begun.headers["Set-Cookie"]
    assert re.search("httponly", cookie, re.IGNORECASE)
    assert "SameSite=Lax" in cookie
    return str((await client.post(url, data={"sub": who})).headers["Location"])


async def test_logging_in_at_an_openid_provider(school: Served) -> None:
    async with httpx.AsyncClient() as client:
        guest = (await client.post(f"{school.url}/identity/anonymous")).json()
        back = await authorize(client, school, "ann", **bearer(guest))
        upgraded = (await client.get(back)).json()
        assert (upgraded["subject"], upgraded["kind"]) == (guest["subject"], "registered")
        # The same person comes again, and is the same; the state before is good no more.
        again = (await client.get(await authorize(client, school, "ann"))).json()
        assert again["subject"] == guest["subject"]
        other = (await client.get(await authorize(client, school, "bob"))).json()
        assert other["subject"] != guest["subject"]
        assert (await client.get(back)).status_code == 401


async def test_logins_that_are_begun_are_counted(
    school: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each leaves a row for a while, whoever begins it."""
    most = dataclasses.replace(throttle.STARTS, count=5)
    monkeypatch.setattr(throttle, "STARTS", most)
    async with httpx.AsyncClient() as stranger:
        for _ in range(6):
            answer = await stranger.post(f"{school.url}/identity/oidc/school/start")
    assert (answer.status_code, "logins begun" in answer.text) == (429, True)
    assert int(answer.headers["Retry-After"]) > 0


async def test_a_login_ends_in_the_browser_that_began_it(school: Served) -> None:
    async with httpx.AsyncClient() as attacker, httpx.AsyncClient() as victim:
        back = await authorize(attacker, school, "mallory")
        assert (await victim.get(back)).status_code == 401
        await authorize(victim, school, "ann")
        assert (await victim.get(back)).status_code == 401
        wrong = back.replace("code=", "code=x")
        assert (await attacker.get(wrong)).status_code == 401


async def test_a_code_is_nothing_to_show(school: Served) -> None:
    """Whoever shows one has not come back with it from where their browser was sent."""
    async with httpx.AsyncClient() as client:
        back = await authorize(client, school, "ann")
        code = urllib.parse.parse_qs(urllib.parse.urlsplit(back).query)["code"][0]
        for shown in ({"code": code, "verifier": "x" * 43, "nonce": "x"}, {}):
            answer = await client.post(f"{school.url}/identity/login/school", json=shown)
            assert (answer.status_code, answer.json()["code"]) == (404, "PC002")
            assert answer.json()["hint"].endswith("/identity/oidc/school/start.")
        for name in ("password", "nobody"):
            begun = await client.post(f"{school.url}/identity/oidc/{name}/start")
            assert begun.status_code == 404


async def test_a_statement_about_another_login_is_refused(issuer: str) -> None:
    known = oidc.OpenId(
        "school", issuer=issuer, client="pgcellar", secret="s", redirect="http://localhost/back"
    )
    for changed in ("nonce", "client"):
        url, _, flow = await known.start()
        async with httpx.AsyncClient() as client:
            back = (await client.post(url, data={"sub": "ann"})).headers["Location"]
        code = urllib.parse.parse_qs(urllib.parse.urlsplit(back).query)["code"][0]
        if changed == "nonce":
            flow = dataclasses.replace(flow, nonce="another")
        else:
            known._client = "another"
        with pytest.raises(errors.Unauthenticated):
            await known.finish(code, flow)


async def test_a_provider_that_can_be_listened_to_is_refused() -> None:
    with pytest.raises(errors.BadRequest, match="https"):
        oidc.OpenId(
            "x", issuer="http://idp.example", client="c", secret="s", redirect="https://a.b"
        )
    lost = oidc.OpenId(
        "x", issuer="http://localhost:1", client="c", secret="s", redirect="https://a.b"
    )
    with pytest.raises(errors.ServiceUnavailable):
        await lost.start()
