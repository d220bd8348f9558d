"""Fixtures of a real JupyterHub, and of somebody's browser there: a pytest plugin."""

from __future__ import annotations

import contextlib
import dataclasses
import html.parser
import pathlib
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator

import httpx
import pytest
import tornado.testing

#: Where the hub sends browsers back to; who comes to the gateway there is the tests' affair.
BACK = "https://sql.example.org/pgcellar/api/v1/identity/oidc/jupyterhub/callback"
SECRET = "a" * 32
#: A service of which the hub asks nobody whether they mean it.
TRUSTED = "trusted"
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
c.Authenticator.allowed_users = {{"ann", "eve", "stranger"}}
c.JupyterHub.db_url = "sqlite:///{folder}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{folder}/secret"
c.JupyterHub.services = [
    {{"name": "pgcellar", "api_token": "{secret}", "oauth_redirect_uri": "{back}"}},
    {{
        "name": "{trusted}", "api_token": "c" * 32, "oauth_redirect_uri": "{back}",
        "oauth_no_confirm": True,
    }},
    {{"name": "tests", "api_token": "b" * 32}},
]
c.JupyterHub.load_roles = [
    {{"name": "user", "scopes": ["self"]}},
    {{"name": "students", "users": ["ann", "eve"], "scopes": ["access:services"]}},
    {{"name": "tests", "services": ["tests"], "scopes": ["admin:users", "tokens", "list:users"]}},
]
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hub:
    """A hub that runs. `ann` and `eve` may use its services, `stranger` may not."""

    url: str

    @property
    def api(self) -> str:
        """Its API."""
        return f"{self.url}/api"

    def token(self, *scopes: str) -> str:
        """A token of ann's with these scopes."""
        with httpx.Client(headers={"Authorization": f"token {'b' * 32}"}) as client:
            made = client.post(f"{self.api}/users/ann/tokens", json={"scopes": list(scopes)})
            assert made.status_code == 201, made.text
            return str(made.json()["token"])

    @contextlib.contextmanager
    def browser(self, who: str) -> Iterator[httpx.Client]:
        """A browser in which somebody has logged in at the hub."""
        with httpx.Client(base_url=self.url, timeout=60) as made:
            sent = made.post("/login", data={**form(made.get("/login")), "username": [who]})
            assert sent.status_code == 302, sent.text
            yield made


def sent_back(browser: httpx.Client, url: str, *, asked: bool | None = None) -> str:
    """The query with which the hub sends a browser back that was sent to `url`.

    `asked` says whether the hub asks who is there if they mean it; None if it may.
    """
    answer = browser.get(url)
    if asked is not None:
        assert (answer.status_code == 200) == asked, answer.text
    if answer.status_code == 200:
        answer = browser.post(url, data=form(answer))
    return back(answer)


def back(answer: httpx.Response) -> str:
    """The query of an answer that sends a browser back."""
    assert answer.status_code == 302, answer.text
    where, _, query = answer.headers["Location"].partition("?")
    assert where == BACK
    return str(query)


def code(query: str) -> str:
    """The code in such a query."""
    return urllib.parse.parse_qs(query)["code"][0]


class _Hidden(html.parser.HTMLParser):
    """The hidden fields of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        given = dict(attrs)
        if tag == "input" and given.get("type") == "hidden":
            self.found.setdefault(given.get("name") or "", []).append(given.get("value") or "")


def form(answer: httpx.Response) -> dict[str, list[str]]:
    """What the form of a page sends."""
    assert answer.status_code == 200, answer.text
    page = _Hidden()
    page.feed(answer.text)
    assert "_xsrf" in page.found
    return page.found


@pytest.fixture(scope="module")
def jupyterhub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A running hub."""
    folder = tmp_path_factory.mktemp("hub")
    ports = {}
    for name in ("port", "hub"):
        socket, ports[name] = tornado.testing.bind_unused_port()
        socket.close()
    config = pathlib.Path(folder / "config.py")
    config.write_text(
        CONFIG.format(folder=folder, secret=SECRET, back=BACK, trusted=TRUSTED, **ports)
    )
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterhub", "-f", str(config)], stdout=log, stderr=log, cwd=folder
    )
    made = Hub(url=f"http://127.0.0.1:{ports['hub']}/hub")
    try:
        end = time.monotonic() + 90
        while True:
            try:
                httpx.get(made.api).raise_for_status()
                break
            except httpx.HTTPError:
                text = (folder / "log").read_text()[-4000:]
                assert process.poll() is None, text
                assert time.monotonic() < end, text
                time.sleep(0.2)
        yield made
    finally:
        process.terminate()
        process.wait(30)
        log.close()
