"""pgcellar.identity.hub, against a real JupyterHub process, and against what is none."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import urllib.parse
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography import fernet
from tests import fixtures_hub
from tests.fixtures_hub import BACK, SECRET, TRUSTED, Hub
from tests.fixtures_identity import Acts

from pgcellar.api import errors
from pgcellar.control import database
from pgcellar.identity import composing, fetching, flow_store, hub, providers, sealing

FLOW = flow_store.Flow(provider="jupyterhub", verifier="v" * 43, nonce="")
OURS = "access:services!service=pgcellar"


def login(at: Hub, name: str = "pgcellar", secret: str = SECRET) -> hub.Login:
    """The way to log in there, as one of its services."""
    return hub.Login(hub.JupyterHub(at.api, name), url=at.url, secret=secret, redirect=BACK)


# --- tokens that are shown -----------------------------------------------------------------------


async def test_a_users_token_meant_for_us_says_who_it_is(jupyterhub: Hub) -> None:
    known = hub.JupyterHub(jupyterhub.api)
    for scope in ("access:services", OURS):
        found = await known.identify({"token": jupyterhub.token(scope, "read:users:name!user=ann")})
        assert (found.provider, found.id) == (f"jupyterhub:{jupyterhub.api}", "ann")


async def test_a_token_for_another_service_is_refused(jupyterhub: Hub) -> None:
    shown = jupyterhub.token("access:services!service=tests", "read:users:name!user=ann")
    with pytest.raises(errors.Forbidden, match="not meant for pgcellar"):
        await hub.JupyterHub(jupyterhub.api).identify({"token": shown})


@pytest.mark.parametrize("shown", ["", "x", "a" * 32, "b" * 32, None, "x\r\nHost: y", "é"])
async def test_what_is_no_users_token_is_refused(jupyterhub: Hub, shown: object) -> None:
    with pytest.raises((errors.Unauthenticated, errors.Forbidden)):
        await hub.JupyterHub(jupyterhub.api).identify({"token": shown})


async def test_a_hub_that_does_not_answer() -> None:
    lost = hub.JupyterHub("http://127.0.0.1:1/hub/api")
    with pytest.raises(errors.ServiceUnavailable):
        await lost.identify({"token": "x"})
    way = hub.Login(lost, url="http://127.0.0.1:1/hub", secret="s", redirect=BACK)
    with pytest.raises(errors.ServiceUnavailable):
        await way.finish("x", FLOW)


# --- logging in ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "secret"), [("pgcellar", SECRET), (TRUSTED, "c" * 32)])
async def test_who_logs_in_is_who_a_token_shows(jupyterhub: Hub, name: str, secret: str) -> None:
    """Whether the hub asks them if they mean it, the first time, or not."""
    way = login(jupyterhub, name, secret)
    with jupyterhub.browser("eve") as browser:
        for asked in (name != TRUSTED, False):
            url, state, flow = await way.start()
            query = fixtures_hub.sent_back(browser, url, asked=asked)
            assert urllib.parse.parse_qs(query)["state"] == [state]
            found = await way.finish(fixtures_hub.code(query), flow)
            assert found == providers.External(
                provider=f"jupyterhub:{jupyterhub.api}", id="eve", name="eve"
            )


async def test_no_more_is_asked_for_than_who_it_is(jupyterhub: Hub) -> None:
    url, state, flow = await login(jupyterhub).start("s_0")
    asked = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    assert asked.pop("code_challenge") != [flow.verifier]
    assert asked == {
        "response_type": ["code"],
        "client_id": ["service-pgcellar"],
        "redirect_uri": [BACK],
        "scope": [OURS],
        "state": [state],
        "code_challenge_method": ["S256"],
    }
    assert (flow.subject, flow.provider) == ("s_0", "jupyterhub")
    assert len(state) == len(flow.verifier) == 43


async def test_a_code_is_good_once_and_for_who_asked_for_it(jupyterhub: Hub) -> None:
    way = login(jupyterhub)
    with jupyterhub.browser("ann") as browser:
        url, _, flow = await way.start()
        other = (await way.start())[2]
        code = fixtures_hub.code(fixtures_hub.sent_back(browser, url))
        # Another login's, as when somebody got hold of the code: PKCE.
        with pytest.raises(errors.Unauthenticated, match="does not accept"):
            await way.finish(code, other)
        code = fixtures_hub.code(fixtures_hub.sent_back(browser, url))
        # One that was given to another service.
        with pytest.raises(errors.Unauthenticated, match="does not accept"):
            await login(jupyterhub, TRUSTED, "c" * 32).finish(code, flow)
        code = fixtures_hub.code(fixtures_hub.sent_back(browser, url))
        assert (await way.finish(code, flow)).id == "ann"
        for wrong in (code, "", "x", "é\0"):
            with pytest.raises(errors.Unauthenticated, match="does not accept"):
                await way.finish(wrong, flow)


async def test_who_may_not_use_the_service_does_not_get_in(jupyterhub: Hub) -> None:
    way = login(jupyterhub)
    url, _, flow = await way.start()
    with jupyterhub.browser("stranger") as browser:
        assert browser.get(url).status_code == 403
        # Where its page is sent, which it did not show, the hub finds out later.
        sent = {"_xsrf": browser.cookies["_xsrf"], "scopes": [OURS]}
        code = fixtures_hub.code(fixtures_hub.back(browser.post(url, data=sent)))
        with pytest.raises(errors.ServiceUnavailable, match="status 500"):
            await way.finish(code, flow)


async def test_a_wrong_secret_is_told_from_a_wrong_code(jupyterhub: Hub) -> None:
    for way in (login(jupyterhub, secret="x"), login(jupyterhub, "nobody")):
        with pytest.raises(errors.ServiceUnavailable, match="one of its services") as told:
            await way.finish("x", FLOW)
        assert SECRET not in f"{told.value.message}{told.value.hint}"


def test_a_login_that_can_be_listened_to_is_refused() -> None:
    known = hub.JupyterHub("http://hub:8081/hub/api")
    for url, redirect in (("http://a.b/hub", BACK), ("https://a.b/hub", "http://a.b/x")):
        with pytest.raises(errors.BadRequest, match="https"):
            hub.Login(known, url=url, secret="s", redirect=redirect)


# --- what is no hub ------------------------------------------------------------------------------


class Impostor:
    """A server that answers, by the last word of a path, with what it was given."""

    def __init__(self, **answers: bytes) -> None:
        self.asked: list[str] = []
        self._answers = answers
        self._tasks: list[asyncio.Task[Any] | None] = []

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[hub.Login]:
        """While this is held it serves; the way to log in there."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        at = Hub(url=f"http://127.0.0.1:{port}/hub")
        async with server:
            yield login(at)
        for task in filter(None, self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.append(asyncio.current_task())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split()[1]
            self.asked.append(path)
            await self.answer(writer, self._answers[path.rpartition("/")[2]])
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def answer(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        """Send an answer, and hang up."""
        writer.write(answer)
        await writer.drain()


class Slow(Impostor):
    """One that sends a byte now and then."""

    async def answer(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        """See `Impostor`."""
        for byte in answer:
            await super().answer(writer, bytes([byte]))
            await asyncio.sleep(0.05)


def http(body: bytes, status: str = "200 OK", header: str = "X: y") -> bytes:
    """An answer."""
    head = f"HTTP/1.1 {status}\r\n{header}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def said(**user: Any) -> bytes:
    """What a hub says of a user."""
    return http(json.dumps({"kind": "user", "name": "ann", "scopes": [OURS], **user}).encode())


TOKEN = http(b'{"access_token": "t"}')
REFUSED = (errors.ServiceUnavailable, errors.Unauthenticated, errors.Forbidden)


async def test_an_impostor_that_answers_as_a_hub_is_understood() -> None:
    impostor = Impostor(token=TOKEN, user=said())
    async with impostor.serving() as way:
        assert (await way.finish("x", FLOW)).id == "ann"
    assert impostor.asked == ["/hub/api/oauth2/token", "/hub/api/user"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\xff" * 500,
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        *(
            http(body)
            for body in (
                b"", b"{", b"[]", b"7", b"\xff\xfe", b"<html>", b"{}", b"[" * 200_000,
                b'{"access_token": 7}', b'{"access_token": null}', b'{"access_token": {}}',
                b'{"access_token": "x\\r\\nHost: y"}', b'{"access_token": "\\ud800"}',
                b'{"error": ["invalid_client"]}', b'{"access_token": "' + b"x" * (2 << 20) + b'"}',
            )
        ),
        *(
            http(b"{}", status)
            for status in ("201 Made", "400 Bad", "401 No", "404 Gone", "429 Slow", "500 Broken")
        ),
        http(b"{}", "302 Found", "Location: /elsewhere"),
        http(b"{}", "307 Temporary", "Location: /elsewhere"),
    ],
)  # fmt: skip
async def test_garbage_is_no_login(answer: bytes) -> None:
    for answers in ({"token": answer, "user": said()}, {"token": TOKEN, "user": answer}):
        impostor = Impostor(**answers)
        async with impostor.serving() as way:
            with pytest.raises(REFUSED) as told:
                await way.finish("x", FLOW)
        assert SECRET not in f"{told.value.message}{told.value.hint}"
        # The secret is shown to nobody else.
        assert set(impostor.asked) <= {"/hub/api/oauth2/token", "/hub/api/user"}


@pytest.mark.parametrize(
    "user",
    [
        *({"name": name} for name in ("", "\ud800", "a\0b", "a\nb", "x" * 256, 7, None, ["ann"])),
        *({"scopes": each} for each in (None, OURS, {OURS: 1}, [], [[OURS]], [None], [OURS + "2"])),
        {"kind": "service"},
        {"kind": None},
    ],
)
async def test_who_is_no_user_of_ours_does_not_get_in(user: dict[str, Any]) -> None:
    async with Impostor(token=TOKEN, user=said(**user)).serving() as way:
        with pytest.raises((errors.Unauthenticated, errors.Forbidden)):
            await way.finish("x", FLOW)


def identity_at(control: database.ControlDatabase, acts: Acts, *ways: hub.Login) -> composing.Parts:
    """The idp of who may log in there."""
    return composing.compose(
        control,
        sealing.Sealer(fernet.Fernet.generate_key().decode()),
        acts,
        issuer="https://a.b",
        audience="pgcellar",
        found=lambda accounts: ways,
    )


async def test_who_lacks_the_scope_is_written_down(
    control: database.ControlDatabase, acts: Acts
) -> None:
    async with Impostor(
        token=TOKEN, user=said(scopes=["access:services!service=x"])
    ).serving() as way:
        parts = identity_at(control, acts, way)
        _, state = await parts.idp.start("jupyterhub", None, "127.0.0.1")
        with pytest.raises(errors.Forbidden, match="not meant for pgcellar"):
            await parts.idp.finish("jupyterhub", state, "x", "127.0.0.1")
        with pytest.raises(errors.Unauthenticated, match="not begun here"):
            await parts.idp.finish("jupyterhub", state, "x", "127.0.0.1")
        # There is a way to log in, and none to show anything.
        with pytest.raises(errors.NotFound, match="takes no credentials"):
            await parts.idp.login("jupyterhub", {"token": "x"}, "127.0.0.1")
    first, second = acts.named("login.jupyterhub")
    assert (first.outcome, second.outcome) == ("denied", "denied")
    assert first.details == {"reason": "This token of JupyterHub is not meant for pgcellar."}


class School(hub.Login):
    """Another server, which sends browsers that came to it on to the hub."""

    name = "school"


async def test_a_login_begun_at_one_server_does_not_end_at_another(
    control: database.ControlDatabase, acts: Acts
) -> None:
    async with Impostor(token=TOKEN, user=said()).serving() as way:
        school = School(way._hub, url="https://a.b", secret="s", redirect=BACK)
        idp = identity_at(control, acts, way, school).idp
        _, state = await idp.start("school", None, "127.0.0.1")
        with pytest.raises(errors.Unauthenticated, match="not begun here"):
            await idp.finish("jupyterhub", state, "x", "127.0.0.1")
        assert (await idp.finish("school", state, "x", "127.0.0.1"))["name"] == "ann"


async def test_nobody_waits_for_a_slow_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_SECONDS", 0.5)
    for answers in ({"token": TOKEN, "user": said()}, {"token": b"", "user": b""}):
        begin = time.monotonic()
        async with Slow(**answers).serving() as way:
            with pytest.raises(errors.ServiceUnavailable, match="does not answer"):
                await way.finish("x", FLOW)
        assert time.monotonic() - begin < 10
