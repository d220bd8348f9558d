"""pgcellar.identity, on a real control database: who comes in, and which tokens are taken."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hmac
import itertools
import json
import re
import time
from collections.abc import Callable
from typing import Any

import argon2
import pytest
from cryptography import fernet
from joserfc import jwk, jwt
from tests.fixtures_identity import Acts

from pgcellar.api import errors, identities
from pgcellar.control import database
from pgcellar.identity import (
    composing,
    key_store,
    passwords,
    providers,
    sealing,
    signing,
    store,
    throttle,
    verifying,
)

ISSUER = "https://pgcellar.example"
AUDIENCE = "pgcellar"
QUICK = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
KEY = fernet.Fernet.generate_key().decode()
PASSWORD = "correct horse"
ROOT = identities.Identity(
    subject="root", name="root", kind="os", roles=(identities.ADMINISTRATOR,)
)
NUMBERS = itertools.count(1)


@pytest.fixture
def idp(control: database.ControlDatabase, acts: Acts) -> composing.Parts:
    """The idp, as one replica has it."""
    return replica(control, acts)


@pytest.fixture
def address() -> str:
    """A network address that no other test has."""
    return f"10.0.0.{next(NUMBERS)}"


def replica(db: database.ControlDatabase, acts: Acts, **options: Any) -> composing.Parts:
    """The idp in one of several processes."""
    return composing.compose(
        db,
        sealing.Sealer(KEY),
        acts,
        issuer=ISSUER,
        audience=AUDIENCE,
        found=lambda accounts: [
            passwords.Passwords(accounts, QUICK),
            providers.OperatingSystem(),
            providers.JupyterServer("here"),
        ],
        anonymous=True,
        registration=True,
        **options,
    )


def email() -> str:
    """An address that no other test has."""
    return f"ann{next(NUMBERS)}@example.org"


async def registered(idp: composing.Parts, address: str) -> dict[str, Any]:
    """The tokens of somebody new."""
    return await idp.idp.register({"email": email(), "password": PASSWORD}, address)


async def identity(idp: composing.Parts, tokens: dict[str, Any]) -> identities.Identity:
    """Whose tokens these are."""
    return await idp.sessions.verify(tokens["access_token"], AUDIENCE)


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """A token's header, claims and signature."""
    header, claims, signature = token.split(".")
    return json.loads(_decode(header)), json.loads(_decode(claims)), signature


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _encode(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


# --- access tokens -------------------------------------------------------------------------------


async def test_a_token_says_who_it_is(idp: composing.Parts, address: str) -> None:
    tokens = await idp.idp.anonymous(address)
    found = await identity(idp, tokens)
    assert (found.subject, found.kind, found.roles) == (tokens["subject"], "anonymous", ())
    assert re.fullmatch("s_[0-9a-f]{32}", found.subject)
    assert await identity(idp, tokens) == found


def without_algorithm(token: str, keys: list[dict[str, Any]]) -> str:
    header, claims, _ = parts(token)
    return f"{_encode({**header, 'alg': 'none'})}.{_encode(claims)}."


def with_the_public_key_as_secret(token: str, keys: list[dict[str, Any]]) -> str:
    header, claims, _ = parts(token)
    body = f"{_encode({**header, 'alg': 'HS256'})}.{_encode(claims)}"
    key = next(key for key in keys if key["kid"] == header["kid"])
    return f"{body}.{_encode(hmac.digest(_decode(key['x']), body.encode(), 'sha256'))}"


def of_another_key(token: str, keys: list[dict[str, Any]]) -> str:
    header, claims, _ = parts(token)
    own = jwk.OKPKey.generate_key("Ed25519")
    return jwt.encode(header, claims, own, algorithms=["Ed25519"])


def with_a_key_of_its_own(token: str, keys: list[dict[str, Any]]) -> str:
    header, claims, _ = parts(token)
    own = jwk.OKPKey.generate_key("Ed25519")
    header["jwk"] = dict(own.as_dict(private=False))
    return jwt.encode(header, claims, own, algorithms=["Ed25519"])


def of_an_unknown_key(token: str, keys: list[dict[str, Any]]) -> str:
    header, claims, signature = parts(token)
    return f"{_encode({**header, 'kid': '../../etc/passwd'})}.{_encode(claims)}.{signature}"


def of_an_administrator(token: str, keys: list[dict[str, Any]]) -> str:
    header, claims, signature = parts(token)
    return f"{_encode(header)}.{_encode({**claims, 'roles': ['administrator']})}.{signature}"


def without_a_signature(token: str, keys: list[dict[str, Any]]) -> str:
    return token.rpartition(".")[0] + "."


def endless(token: str, keys: list[dict[str, Any]]) -> str:
    return token + "A" * 1_000_000


def no_token(token: str, keys: list[dict[str, Any]]) -> str:
    return "\u202e..é"


def header_of_a_list(token: str, keys: list[dict[str, Any]]) -> str:
    return f"{_encode([1])}.{_encode([2])}.{_encode(b'3')}"


@pytest.mark.parametrize(
    "forge",
    [
        without_algorithm,
        with_the_public_key_as_secret,
        of_another_key,
        with_a_key_of_its_own,
        of_an_unknown_key,
        of_an_administrator,
        without_a_signature,
        endless,
        no_token,
        header_of_a_list,
    ],
)
async def test_a_forged_token_is_refused(
    idp: composing.Parts, address: str, forge: Callable[[str, list[dict[str, Any]]], str]
) -> None:
    tokens = await idp.idp.anonymous(address)
    keys = [dict(key) for key in (await idp.sessions.trust()).keys]
    await identity(idp, tokens)
    with pytest.raises(errors.Unauthenticated, match="no access token of ours"):
        await idp.sessions.verify(forge(tokens["access_token"], keys), AUDIENCE)


async def test_what_our_key_signed_for_something_else_is_no_access_token(
    control: database.ControlDatabase, idp: composing.Parts, address: str
) -> None:
    tokens = await idp.idp.anonymous(address)
    header, claims, _ = parts(tokens["access_token"])
    rows = await key_store.KeyStore(control).all()
    row = next(row for row in rows if row.kid == header["kid"])
    key = jwk.OKPKey.import_key(json.loads(sealing.Sealer(KEY).unseal(row.private)))

    def signed(header: dict[str, Any], claims: dict[str, Any]) -> str:
        return jwt.encode(header, claims, key, algorithms=["Ed25519"])

    for head, body in (
        ({**header, "typ": "JWT"}, claims),
        (header, {k: v for k, v in claims.items() if k != "exp"}),
        (header, {**claims, "exp": "never"}),
        (header, {**claims, "iat": int(time.time()) + 3600}),
        (header, {**claims, "exp": int(time.time()) - 3600}),
        (header, {**claims, "iss": "https://evil.example"}),
        (header, {**claims, "aud": ["pgcellar", "another"]}),
    ):
        with pytest.raises(errors.Unauthenticated):
            await idp.sessions.verify(signed(head, body), AUDIENCE)
    assert await idp.sessions.verify(signed(header, claims), AUDIENCE)


async def test_an_expired_token_is_refused(
    control: database.ControlDatabase, acts: Acts, address: str
) -> None:
    idp = replica(control, acts, lifetime=-verifying.LEEWAY - 1)
    tokens = await idp.idp.anonymous(address)
    with pytest.raises(errors.Unauthenticated, match="expired"):
        await identity(idp, tokens)


async def test_a_token_for_another_audience_is_refused(idp: composing.Parts) -> None:
    token = await idp.sessions.service("runner", "snapshots", ["states"])
    found = await idp.sessions.verify(token, "snapshots")
    assert (found.subject, found.kind, found.scopes) == ("service:runner", "service", ("states",))
    with pytest.raises(errors.Unauthenticated, match="another service"):
        await idp.sessions.verify(token, AUDIENCE)


async def test_keys_rotate_and_old_tokens_stay_good(
    control: database.ControlDatabase, idp: composing.Parts, acts: Acts, address: str
) -> None:
    other = replica(control, acts)
    before = await idp.idp.anonymous(address)
    await identity(other, before)
    kid = await idp.management.rotate(ROOT)
    after = await idp.idp.anonymous(address)
    assert parts(after["access_token"])[0]["kid"] == kid
    assert parts(before["access_token"])[0]["kid"] != kid
    for each in (idp, replica(control, acts)):
        await identity(each, before)
        await identity(each, after)
    assert [act.target for act in acts.named("key.rotate")] == [kid]
    with pytest.raises(errors.Forbidden):
        await idp.management.rotate(await identity(idp, after))


async def test_replicas_that_start_at_once_sign_with_one_key(
    control: database.ControlDatabase,
) -> None:
    await control.execute("delete from signing_keys")
    rings = [
        signing.Keyring(key_store.KeyStore(control), sealing.Sealer(KEY), lifetime=600)
        for _ in range(6)
    ]
    tokens = await asyncio.gather(*(ring.sign({}) for ring in rings))
    assert len({parts(token)[0]["kid"] for token in tokens}) == 1


async def test_the_database_alone_signs_nothing(
    control: database.ControlDatabase, idp: composing.Parts, acts: Acts, address: str
) -> None:
    await idp.idp.anonymous(address)
    other = sealing.Sealer(fernet.Fernet.generate_key().decode())
    ring = signing.Keyring(key_store.KeyStore(control), other, lifetime=600)
    with pytest.raises(errors.ServiceUnavailable, match="sealed with another key"):
        await ring.sign({})


# --- sessions and personal tokens ----------------------------------------------------------------


async def test_a_refresh_token_is_used_once_and_reuse_ends_the_session(
    control: database.ControlDatabase, idp: composing.Parts, acts: Acts, address: str
) -> None:
    first = await registered(idp, address)
    second = await idp.management.renew(first["refresh_token"], address)
    assert second["subject"] == first["subject"]
    await identity(idp, second)
    with pytest.raises(errors.Unauthenticated, match="used before"):
        await idp.management.renew(first["refresh_token"], address)
    for stolen in (first, second):
        with pytest.raises(errors.Unauthenticated, match="revoked"):
            await identity(idp, stolen)
    with pytest.raises(errors.Unauthenticated):
        await idp.management.renew(second["refresh_token"], address)
    assert [act.outcome for act in acts.named("session.reuse")] == ["denied"]


async def test_of_many_who_refresh_at_once_one_does(idp: composing.Parts, address: str) -> None:
    tokens = await registered(idp, address)
    found = await asyncio.gather(
        *(idp.management.renew(tokens["refresh_token"], address) for _ in range(8)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, dict) for each in found) == 1
    assert all(isinstance(each, (dict, errors.Unauthenticated)) for each in found)


async def test_a_refresh_whose_answer_was_lost_is_asked_for_again(
    idp: composing.Parts, acts: Acts, address: str
) -> None:
    """With its key it has the same answer, until that is used; without, it is somebody else's."""
    guest = await idp.idp.anonymous(address)
    renew = idp.management.renew
    one = await renew(guest["refresh_token"], address, "k" * 32)
    other = await renew(guest["refresh_token"], address, "k" * 32)
    assert one["refresh_token"] == other["refresh_token"] != guest["refresh_token"]
    assert one["refresh_token"].startswith("pgc_r_")
    await identity(idp, other)
    third = await renew(one["refresh_token"], address, "k" * 32)
    assert third["refresh_token"] != one["refresh_token"]
    assert not acts.named("session.reuse")
    # By now the answer has come: who asks again is a thief.
    with pytest.raises(errors.Unauthenticated, match="used before"):
        await renew(guest["refresh_token"], address, "k" * 32)
    with pytest.raises(errors.Unauthenticated):
        await renew(third["refresh_token"], address)


async def test_nobody_fills_the_control_database_with_tokens(
    control: database.ControlDatabase, idp: composing.Parts, address: str
) -> None:
    """Renewed, or made and revoked, again and again: each leaves a row for a long time."""
    guest = await idp.idp.anonymous(address)

    async def renew() -> None:
        secret = guest["refresh_token"]
        for _ in range(200):
            secret = (await idp.management.renew(secret, address))["refresh_token"]

    async def make() -> None:
        who = await identity(idp, await registered(idp, address))
        for _ in range(200):
            made = await idp.management.create(who, name="ci", scopes=["runs"])
            await idp.management.revoke(who, made["id"])

    with pytest.raises(errors.LimitExceeded, match="renewals of one session") as refused:
        await renew()
    assert 0 < refused.value.retry_after < 700
    # What was refused is used up by nobody.
    rows = await control.fetch(
        "select count(*) as n from secrets join grants on id = grant_id"
        " where subject = %s and used is null",
        (guest["subject"],),
    )
    assert rows[0]["n"] == 1
    # A neighbour has renewals of their own.
    other = await idp.idp.anonymous(address)
    await idp.management.renew(other["refresh_token"], address)
    with pytest.raises(errors.LimitExceeded, match="new tokens of one person"):
        await make()


async def test_many_tokens_at_once_are_no_more_than_one_by_one(
    idp: composing.Parts, address: str
) -> None:
    who = await identity(idp, await registered(idp, address))
    made = await asyncio.gather(
        *(idp.management.create(who, name="ci", scopes=["runs"]) for _ in range(70)),
        return_exceptions=True,
    )
    refused = [each for each in made if isinstance(each, BaseException)]
    assert {type(each) for each in refused} == {errors.LimitExceeded}
    assert len(await idp.management.tokens(who)) == 70 - len(refused) == 50


async def test_another_key_is_another_request(idp: composing.Parts, address: str) -> None:
    guest = await idp.idp.anonymous(address)
    await idp.management.renew(guest["refresh_token"], address, "one")
    with pytest.raises(errors.Unauthenticated, match="used before"):
        await idp.management.renew(guest["refresh_token"], address, "other")


async def test_secrets_are_kept_nowhere(
    control: database.ControlDatabase, idp: composing.Parts, acts: Acts, address: str
) -> None:
    tokens = await registered(idp, address)
    who = await identity(idp, tokens)
    made = await idp.management.create(who, name="ci", scopes=["runs"])
    kept = repr(acts.acts)
    for table in ("accounts", "logins", "grants", "secrets", "signing_keys"):
        kept += repr(await control.fetch(f"select t::text from {table} as t"))  # type: ignore[arg-type]
    for secret in (made["secret"], tokens["refresh_token"], tokens["access_token"], PASSWORD):
        assert secret not in kept
        assert secret[6:] not in kept


async def test_a_personal_token_does_no_more_than_its_scopes(
    idp: composing.Parts, acts: Acts, address: str
) -> None:
    who = await identity(idp, await registered(idp, address))
    made = await idp.management.create(who, name="ci", scopes=["runs:read", "tokens"])
    assert made["secret"].startswith("pgc_p_")
    (listed,) = await idp.management.tokens(who)
    assert "secret" not in listed
    shown = await idp.sessions.verify(made["secret"], AUDIENCE)
    tokens = await idp.management.exchange(made["secret"])
    exchanged = await identity(idp, tokens)
    for found in (shown, exchanged):
        assert (found.subject, found.token) == (who.subject, made["id"])
        assert found.may("runs:read")
        assert not found.may("runs")
        for scope in ("runs", "*", "admin"):
            with pytest.raises(errors.Forbidden):
                await idp.management.create(found, name="more", scopes=[scope])
    with pytest.raises(errors.Unauthenticated, match="another service"):
        await idp.sessions.verify(made["secret"], "snapshots")
    await idp.management.revoke(who, made["id"])
    for token in (made["secret"], tokens["access_token"]):
        with pytest.raises(errors.Unauthenticated):
            await idp.sessions.verify(token, AUDIENCE)
    with pytest.raises(errors.Unauthenticated):
        await idp.management.exchange(made["secret"])
    assert await idp.management.tokens(who) == []
    assert [act.target for act in acts.named("token.revoke")] == [made["id"]]


async def test_nobody_revokes_anothers_token(idp: composing.Parts, address: str) -> None:
    ann = await identity(idp, await registered(idp, address))
    bob = await identity(idp, await registered(idp, address))
    made = await idp.management.create(ann, name="ci", scopes=["runs"])
    with pytest.raises(errors.NotFound):
        await idp.management.revoke(bob, made["id"])
    assert await idp.sessions.verify(made["secret"], AUDIENCE)


async def test_who_is_disabled_is_refused_at_once_and_comes_back(
    control: database.ControlDatabase, idp: composing.Parts, acts: Acts, address: str
) -> None:
    login = {"email": email(), "password": PASSWORD}
    tokens = await idp.idp.register(login, address)
    who = await identity(idp, tokens)
    made = await idp.management.create(who, name="ci", scopes=["runs"])
    elsewhere = replica(control, acts)
    await elsewhere.management.disable(ROOT, who.subject, True)
    fresh = replica(control, acts)
    for token in (tokens["access_token"], made["secret"]):
        with pytest.raises(errors.Unauthenticated):
            await fresh.sessions.verify(token, AUDIENCE)
    with pytest.raises(errors.Forbidden, match="disabled"):
        await fresh.idp.login("password", login, address)
    await elsewhere.management.disable(ROOT, who.subject, False)
    assert (await fresh.idp.login("password", login, address))["subject"] == who.subject
    with pytest.raises(errors.Forbidden):
        await idp.management.disable(who, who.subject, True)


async def test_logging_out_everywhere(idp: composing.Parts, address: str) -> None:
    tokens = await registered(idp, address)
    who = await identity(idp, tokens)
    await idp.management.end_sessions(ROOT, who.subject)
    with pytest.raises(errors.Unauthenticated, match="revoked"):
        await identity(idp, tokens)
    with pytest.raises(errors.Unauthenticated):
        await idp.management.renew(tokens["refresh_token"], address)


async def test_a_services_token_is_exchanged(idp: composing.Parts) -> None:
    made = await idp.management.create_service(ROOT, name="runner", scopes=["states"])
    found = await identity(idp, await idp.management.exchange(made["secret"]))
    assert (found.subject, found.kind, found.scopes) == ("service:runner", "service", ("states",))


async def test_the_operating_systems_user_has_tokens(idp: composing.Parts) -> None:
    made = await idp.management.create(ROOT, name="ci", scopes=["*"])
    found = await idp.sessions.verify(made["secret"], AUDIENCE)
    assert (found.subject, found.kind) == ("root", "os")
    assert found.administers


# --- coming in -----------------------------------------------------------------------------------


async def test_upgrading_keeps_the_subject(idp: composing.Parts, acts: Acts, address: str) -> None:
    guest = await idp.idp.anonymous(address)
    who = await identity(idp, guest)
    with pytest.raises(errors.Forbidden):
        await idp.management.create(who, name="ci", scopes=["runs"])
    login = {"email": email(), "password": PASSWORD, "name": "Ann\u202e\n"}
    upgraded = await idp.idp.upgrade(who, login, address)
    now = await identity(idp, upgraded)
    assert (now.subject, now.kind, now.name) == (who.subject, "registered", "Ann")
    again = await idp.idp.login("password", login, address)
    assert again["subject"] == who.subject
    with pytest.raises(errors.Conflict, match="Only an anonymous"):
        await idp.idp.upgrade(now, {"email": email(), "password": PASSWORD}, address)
    assert len(acts.named("account.upgrade")) == 1


async def test_signing_up_ends_the_sessions_before(idp: composing.Parts, address: str) -> None:
    """Who gave somebody an anonymous identity, and kept its tokens, has no registered one."""
    guest = await idp.idp.anonymous(address)
    who = await identity(idp, guest)
    upgraded = await idp.idp.upgrade(who, {"email": email(), "password": PASSWORD}, address)
    with pytest.raises(errors.Unauthenticated, match="revoked"):
        await identity(idp, guest)
    with pytest.raises(errors.Unauthenticated):
        await idp.management.renew(guest["refresh_token"], address)
    assert (await identity(idp, upgraded)).subject == who.subject


async def test_nobody_signs_up_as_an_administrator(
    control: database.ControlDatabase, acts: Acts, address: str
) -> None:
    """An address proves nothing: the one that the settings name is an administrator's to give."""
    boss = email()
    idp = replica(control, acts, administrators=[f"password:{boss.upper()}"])
    login = {"email": boss, "password": PASSWORD}
    with pytest.raises(errors.Forbidden, match="Nobody can register"):
        await idp.idp.register(login, address)
    guest = await identity(idp, await idp.idp.anonymous(address))
    with pytest.raises(errors.Forbidden, match="Nobody can register"):
        await idp.idp.upgrade(guest, {**login, "email": f" {boss.title()}"}, address)
    with pytest.raises(errors.Forbidden, match="Only an administrator"):
        await idp.idp.enroll(guest, login, address)
    subject = await idp.idp.enroll(ROOT, login, address)
    tokens = await idp.idp.login("password", login, address)
    assert tokens["subject"] == subject
    assert (await identity(idp, tokens)).administers
    with pytest.raises(errors.Conflict):
        await idp.idp.enroll(ROOT, login, address)
    (act,) = acts.named("account.add")
    assert (act.subject, act.target) == (ROOT.subject, subject)


async def test_a_misspelt_administrator_is_named(
    control: database.ControlDatabase, acts: Acts
) -> None:
    with pytest.raises(errors.BadRequest, match="'password:boss', which is no e-mail address"):
        replica(control, acts, administrators=["password:boss"])


async def test_an_upgrade_to_anothers_address_changes_nothing(
    idp: composing.Parts, address: str
) -> None:
    login = {"email": email(), "password": PASSWORD}
    await idp.idp.register(login, address)
    who = await identity(idp, await idp.idp.anonymous(address))
    with pytest.raises(errors.Conflict):
        await idp.idp.upgrade(who, {**login, "email": login["email"].upper()}, address)
    account = await idp.accounts.get(who.subject)
    assert account is not None
    assert account.kind == "anonymous"


async def test_a_wrong_password_and_an_unknown_address_look_the_same(
    idp: composing.Parts, acts: Acts, address: str
) -> None:
    login = {"email": email(), "password": PASSWORD}
    await idp.idp.register(login, address)
    told = []
    for wrong in ({**login, "password": "wrong horse"}, {**login, "email": email()}):
        with pytest.raises(errors.Unauthenticated) as info:
            await idp.idp.login("password", wrong, address)
        told.append(str(info.value))
    assert told[0] == told[1]
    assert [act.outcome for act in acts.named("login.password")] == ["denied", "denied"]


async def test_an_unknown_address_costs_a_hash(control: database.ControlDatabase) -> None:
    class Counting(argon2.PasswordHasher):
        verified = 0

        def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]
            Counting.verified += 1
            return super().verify(hash, password)

    known = passwords.Passwords(
        store.AccountStore(control), Counting(time_cost=1, memory_cost=8, parallelism=1)
    )
    with pytest.raises(errors.Unauthenticated):
        await known.identify({"email": email(), "password": PASSWORD})
    assert Counting.verified == 1


async def test_a_hash_is_renewed_when_its_parameters_are(
    control: database.ControlDatabase, idp: composing.Parts, address: str
) -> None:
    login = {"email": email(), "password": PASSWORD}
    await idp.idp.register(login, address)
    accounts = store.AccountStore(control)
    harder = passwords.Passwords(accounts, argon2.PasswordHasher(time_cost=2, memory_cost=64))
    await harder.identify(login)
    found = await accounts.by_login("password", login["email"])
    assert found is not None
    assert found[1].password is not None
    assert "m=64,t=2" in found[1].password
    await harder.identify(login)


@pytest.mark.parametrize(
    "credentials",
    [
        {},
        {"email": "ann", "password": PASSWORD},
        {"email": "a@b\n", "password": 3},
        {"email": "a@b", "password": "short"},
        {"email": "a@b", "password": "x" * 1025},
        {"email": "a@b", "password": "\ud800" * 12},
        {"email": ["a@b"], "password": PASSWORD},
        {"email": "a" * 300 + "@b", "password": PASSWORD},
    ],
)
async def test_what_is_no_login_is_a_bad_request(
    idp: composing.Parts, address: str, credentials: dict[str, Any]
) -> None:
    with pytest.raises(errors.BadRequest):
        await idp.idp.register(credentials, address)


async def test_guessing_is_throttled_by_account_and_address_also_at_once(
    idp: composing.Parts, address: str
) -> None:
    login = {"email": email(), "password": PASSWORD}
    await idp.idp.register(login, address)
    wrong = {**login, "password": "wrong horse"}
    found = await asyncio.gather(
        *(idp.idp.login("password", wrong, address) for _ in range(30)), return_exceptions=True
    )
    assert sum(isinstance(each, errors.Unauthenticated) for each in found) == throttle.LOGIN.count
    with pytest.raises(errors.LimitExceeded, match="logins to one account") as info:
        await idp.idp.login("password", login, address)
    assert info.value.retry_after > 0
    # Whose account it is comes in from elsewhere.
    assert await idp.idp.login("password", login, "10.9.9.9")


async def test_anonymous_identities_are_limited_by_address(
    control: database.ControlDatabase, acts: Acts
) -> None:
    few = dataclasses.replace(throttle.ANONYMOUS, count=3, what=f"guests {next(NUMBERS)}")
    idp = replica(control, acts, issued=few)
    for number in range(3):
        await idp.idp.anonymous(f"2001:db8::{number + 1}")
    with pytest.raises(errors.LimitExceeded):
        await idp.idp.anonymous("2001:db8::ffff:9")
    await idp.idp.anonymous("2001:db8:0:1::1")


async def test_what_is_not_offered_is_refused(
    control: database.ControlDatabase, acts: Acts, address: str
) -> None:
    closed = composing.compose(control, sealing.Sealer(KEY), acts, issuer=ISSUER, audience=AUDIENCE)
    with pytest.raises(errors.Forbidden):
        await closed.idp.anonymous(address)
    with pytest.raises(errors.NotFound):
        await closed.idp.register({"email": email(), "password": PASSWORD}, address)
    with pytest.raises(errors.NotFound):
        await closed.idp.login("jupyterhub", {"token": "x"}, address)


async def test_a_user_of_jupyter_server_keeps_the_subject(
    idp: composing.Parts, address: str
) -> None:
    user = {"username": f"u{next(NUMBERS)}", "name": "Ann", "display_name": "Ann B."}
    found = await asyncio.gather(
        *(idp.idp.login("jupyter_server", user, address) for _ in range(4))
    )
    assert len({each["subject"] for each in found}) == 1
    assert found[0]["name"] == "Ann B."
    with pytest.raises(errors.Unauthenticated):
        await idp.idp.login("jupyter_server", {"name": "Ann"}, address)


async def test_named_logins_administer(
    control: database.ControlDatabase, acts: Acts, address: str
) -> None:
    idp = replica(control, acts, administrators=["jupyter_server:here:boss"])
    tokens = await idp.idp.login("jupyter_server", {"username": "boss"}, address)
    found = await identity(idp, tokens)
    assert found.administers
    await idp.management.set_administrator(ROOT, found.subject, False)
    with pytest.raises(errors.Unauthenticated):
        await identity(idp, tokens)


async def test_a_role_that_does_not_change_ends_nothing(idp: composing.Parts, address: str) -> None:
    tokens = await registered(idp, address)
    found = await identity(idp, tokens)
    await idp.management.set_administrator(ROOT, found.subject, False)
    assert (await identity(idp, tokens)).subject == found.subject


async def test_tidying_removes_what_has_expired_and_nothing_else(
    control: database.ControlDatabase, idp: composing.Parts, address: str
) -> None:
    tokens = await registered(idp, address)
    gone = await registered(idp, address)
    await control.execute(
        "update grants set expires = now() - interval '1 s' where subject = %s", (gone["subject"],)
    )
    await idp.management.tidy()
    rows = await control.fetch(
        "select subject from grants where subject = any(%s)",
        ([tokens["subject"], gone["subject"]],),
    )
    assert [row["subject"] for row in rows] == [tokens["subject"]]
