"""pgcellar.identity.hub, against a real JupyterHub process."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
import tornado.testing

from pgcellar.api import errors
from pgcellar.identity import hub

CONFIG = """
from jupyterhub import proxy

# We ask the Hub itself; what would be before it and before people's servers is no part of that.
class Routes(proxy.Proxy):
    def __init__(self, **given):
        super().__init__(**given)
        self.should_start = False
        self.known = {{}}

    async def add_route(self, routespec, target, data):
        self.known[routespec] = {{"routespec": routespec, "target": target, "data": data}}

    async def delete_route(self, routespec):
        self.known.pop(routespec, None)

    async def get_all_routes(self):
        return self.known

c.JupyterHub.proxy_class = Routes
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub}
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allowed_users = {{"ann"}}
c.JupyterHub.db_url = "sqlite:///{folder}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{folder}/secret"
c.JupyterHub.services = [
    {{"name": "pgcellar", "api_token": "a" * 32}},
    {{"name": "tests", "api_token": "b" * 32}},
]
c.JupyterHub.load_roles = [
    {{"name": "user", "scopes": ["self", "access:services"]}},
    {{"name": "tests", "services": ["tests"], "scopes": ["admin:users", "tokens", "list:users"]}},
]
"""


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running hub's API."""
    folder = tmp_path_factory.mktemp("hub")
    ports = []
    for name in ("port", "hub"):
        socket, port = tornado.testing.bind_unused_port()
        socket.close()
        ports.append((name, port))
    config = pathlib.Path(folder / "config.py")
    config.write_text(CONFIG.format(folder=folder, **dict(ports)))
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterhub", "-f", str(config)], stdout=log, stderr=log, cwd=folder
    )
    url = f"http://127.0.0.1:{dict(ports)['hub']}/hub/api"
    try:
        end = time.monotonic() + 90
        while True:
            try:
                httpx.get(url).raise_for_status()
                break
            except httpx.HTTPError:
                text = (folder / "log").read_text()[-4000:]
                assert process.poll() is None, text
                assert time.monotonic() < end, text
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def token(api: str, *scopes: str) -> str:
    """A token of ann's with these scopes."""
    with httpx.Client(headers={"Authorization": f"token {'b' * 32}"}) as client:
        made = client.post(f"{api}/users/ann/tokens", json={"scopes": list(scopes)})
        assert made.status_code == 201, made.text
        return str(made.json()["token"])


async def test_a_users_token_meant_for_us_says_who_it_is(api: str) -> None:
    known = hub.JupyterHub(api)
    for scope in ("access:services", "access:services!service=pgcellar"):
        found = await known.identify({"token": token(api, scope, "read:users:name!user=ann")})
        assert (found.provider, found.id) == (f"jupyterhub:{api}", "ann")


async def test_a_token_for_another_service_is_refused(api: str) -> None:
    known = hub.JupyterHub(api)
    shown = token(api, "access:services!service=tests", "read:users:name!user=ann")
    with pytest.raises(errors.Forbidden, match="not meant for pgcellar"):
        await known.identify({"token": shown})


@pytest.mark.parametrize("shown", ["", "x", "a" * 32, "b" * 32, None, "x\r\nHost: y", "é"])
async def test_what_is_no_users_token_is_refused(api: str, shown: object) -> None:
    with pytest.raises((errors.Unauthenticated, errors.Forbidden)):
        await hub.JupyterHub(api).identify({"token": shown})


async def test_a_hub_that_does_not_answer() -> None:
    with pytest.raises(errors.ServiceUnavailable):
        await hub.JupyterHub("http://127.0.0.1:1/hub/api").identify({"token": "x"})
