"""Logging in by the central gateway at a JupyterHub, which is a process of its own."""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests import fixtures_hub
from tests.fixtures_central import ADMINISTRATOR, Central, central_gateway
from tests.fixtures_hub import BACK, SECRET, Hub
from tests.fixtures_service import CommandLine, command_line

AT = "/identity/oidc/jupyterhub"
SHOWN = "/identity/login/jupyterhub"


def settings(hub: Hub, **changed: str) -> str:
    """Settings by which one logs in there."""
    given = {"api": hub.api, "url": hub.url, "secret": SECRET, "redirect": BACK, **changed}
    return "".join(f"c.Identity.hub_{name} = {value!r}\n" for name, value in given.items())


@pytest.fixture(scope="module")
def central(cellar_home_module: pathlib.Path, jupyterhub: Hub) -> Iterator[Central]:
    with (
        command_line(cellar_home_module) as cli,
        central_gateway(cli, config=settings(jupyterhub)) as made,
    ):
        yield made


@pytest.fixture
def ann(jupyterhub: Hub) -> Iterator[httpx.Client]:
    """Ann's browser at the hub."""
    with jupyterhub.browser("ann") as made:
        yield made


def start(client: httpx.Client) -> str:
    """Begin to log in; where the browser is sent to."""
    begun = client.post(f"{AT}/start")
    assert begun.status_code == 200, begun.text
    return str(begun.json()["url"])


def came_back(client: httpx.Client, query: str) -> httpx.Response:
    """Come back from there."""
    return client.get(f"{AT}/callback?{query}")


def acts(boss: httpx.Client, **wanted: str) -> list[dict[str, Any]]:
    """What the audit log has."""
    return list(boss.get("/audit", params={"limit": "1000", **wanted}).json()["records"])


def test_who_is_anonymous_logs_in_and_keeps_the_subject(
    central: Central, jupyterhub: Hub, ann: httpx.Client
) -> None:
    with central.anonymous() as guest, central.client() as later:
        subject = guest.get("/me").json()["subject"]
        tokens = came_back(guest, fixtures_hub.sent_back(ann, start(guest)))
        assert tokens.status_code == 200, tokens.text
        assert tokens.headers["Cache-Control"] == "no-store"
        assert "pgcellar_flow=" in tokens.headers["Set-Cookie"]
        found = tokens.json()
        assert (found["subject"], found["kind"], found["name"]) == (subject, "registered", "ann")
        # Who had the anonymous identity's tokens besides has not logged in.
        assert guest.get("/me").status_code == 401
        again = came_back(later, fixtures_hub.sent_back(ann, start(later))).json()
        token = jupyterhub.token("access:services!service=pgcellar")
        shown = later.post(SHOWN, json={"token": token}).json()
        assert again["subject"] == shown["subject"] == subject
    with central.anonymous() as other, central.registered(ADMINISTRATOR) as boss:
        # An account that there is takes over nobody's work.
        entered = came_back(other, fixtures_hub.sent_back(ann, start(other))).json()
        assert entered["subject"] == subject
        assert other.get("/me").json()["kind"] == "anonymous"
        done = [each["action"] for each in acts(boss, subject=subject)]
        assert done.count("login.jupyterhub") == 3
        assert done.count("account.upgrade") == 1


def test_a_login_ends_in_the_browser_that_began_it(
    central: Central, jupyterhub: Hub, ann: httpx.Client
) -> None:
    with central.client() as eves, central.client() as anns, jupyterhub.browser("eve") as eve:
        # Eve has Ann's browser sent to where hers was, or gives her what she came back with.
        hers = fixtures_hub.sent_back(eve, start(eves))
        for query in (hers, fixtures_hub.sent_back(ann, start(eves))):
            assert came_back(anns, query).status_code == 401
            start(anns)
            assert came_back(anns, query).status_code == 401
        # Eve has got hold of a code of Ann's, and comes with it in her own browser.
        code = fixtures_hub.code(fixtures_hub.sent_back(ann, start(anns)))
        start(eves)
        state = eves.cookies["pgcellar_flow"]
        refused = came_back(eves, f"state={state}&code={code}")
        assert refused.status_code == 401
        assert "does not accept this login" in refused.json()["detail"]


def test_what_was_used_is_used(central: Central, ann: httpx.Client) -> None:
    with central.client() as browser, central.registered(ADMINISTRATOR) as boss:
        query = fixtures_hub.sent_back(ann, start(browser))
        cookie = browser.cookies["pgcellar_flow"]
        assert came_back(browser, query).status_code == 200
        assert came_back(browser, query).status_code == 401
        browser.cookies.set("pgcellar_flow", cookie)
        again = came_back(browser, query)
        assert (again.status_code, "not begun here" in again.text) == (401, True)
        # Nor is the code good with another state.
        browser.cookies.clear()
        start(browser)
        state = browser.cookies["pgcellar_flow"]
        assert (
            came_back(browser, f"state={state}&code={fixtures_hub.code(query)}").status_code == 401
        )
        for wrong in ("", f"state={state}", f"state={'x' * 43}&code=x", "code=x", "error=x"):
            browser.cookies.clear()
            start(browser)
            assert came_back(browser, wrong).status_code == 401
        denied = acts(boss, action="login.jupyterhub", outcome="denied")
        assert {each["details"]["reason"] for each in denied} >= {
            "This login was not begun here, or too long ago.",
            "JupyterHub does not accept this login.",
        }


def test_who_may_not_use_the_service_does_not_get_in(central: Central, jupyterhub: Hub) -> None:
    """Though the hub gives a code to whoever sends its page without having been shown it."""
    with central.anonymous() as guest, jupyterhub.browser("stranger") as browser:
        url = start(guest)
        assert browser.get(url).status_code == 403
        sent = {"_xsrf": browser.cookies["_xsrf"], "scopes": "access:services!service=pgcellar"}
        refused = came_back(guest, fixtures_hub.back(browser.post(url, data=sent)))
        # The hub itself gives no token for it.
        assert (refused.status_code, refused.json()["code"]) == (503, "PC003")
        assert guest.get("/me").json()["kind"] == "anonymous"


def test_a_code_is_nothing_to_show(central: Central, ann: httpx.Client) -> None:
    with central.client() as stranger:
        code = fixtures_hub.code(fixtures_hub.sent_back(ann, start(stranger)))
        for shown in ({"code": code, "verifier": "v" * 43}, {"token": code}, {}):
            assert stranger.post(SHOWN, json=shown).status_code == 401


def test_secrets_are_written_nowhere(central: Central, ann: httpx.Client) -> None:
    with central.client() as browser, central.registered(ADMINISTRATOR) as boss:
        query = fixtures_hub.sent_back(ann, start(browser))
        state = browser.cookies["pgcellar_flow"]
        tokens = came_back(browser, query).json()
        came_back(browser, query)
        hidden = [SECRET, state, fixtures_hub.code(query), tokens["refresh_token"]]
        audited = json.dumps(acts(boss))
    time.sleep(0.5)
    home = pathlib.Path(central.cli.environment["PGCELLAR_HOME"])
    written = [
        path
        for path in home.rglob("*")
        if path.is_file() and "sandboxes" not in path.parts and path.name != "pgcellar_config.py"
    ]
    assert any("control" in path.parts for path in written)
    for path in [central.log, *written]:
        data = path.read_bytes()
        for secret in hidden:
            assert secret.encode() not in data, path
    assert not any(secret in audited for secret in hidden)


def test_without_its_settings_nobody_is_sent_to_the_hub(
    fresh_cli: CommandLine, jupyterhub: Hub
) -> None:
    config = f"c.Identity.hub_api = {jupyterhub.api!r}\n"
    with central_gateway(fresh_cli, config=config) as central, central.client() as stranger:
        refused = stranger.post(f"{AT}/start")
        assert (refused.status_code, refused.json()["code"]) == (404, "PC002")
        assert stranger.get(f"{AT}/callback").status_code == 401
        token = jupyterhub.token("access:services!service=pgcellar")
        assert stranger.post(SHOWN, json={"token": token}).status_code == 200


@pytest.mark.parametrize("missing", ["api", "url", "secret", "redirect"])
def test_half_of_the_settings_are_none(
    fresh_cli: CommandLine, jupyterhub: Hub, missing: str
) -> None:
    home = pathlib.Path(fresh_cli.environment["PGCELLAR_HOME"])
    home.mkdir(exist_ok=True)
    config = "c.Identity.enabled = True\n" + settings(jupyterhub, **{missing: ""})
    (home / "pgcellar_config.py").write_text(config)
    started = fresh_cli("service", "start")
    assert started.returncode != 0
    assert "log in at JupyterHub are missing" in started.stderr
    assert SECRET not in started.stderr
