"""A gateway and its service authenticate one another: on one socket, and by certificates."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from joserfc import jwk, jwt
from tests import certificates, fixtures_central
from tests.fixtures_central import PASSWORD, Central, central_gateway
from tests.fixtures_service import CommandLine, command_line

from pgcellar.api import errors, paths, transport
from pgcellar.control import database, embedded
from pgcellar.identity import sealing
from pgcellar.postgres import server

NOBODY = 65534
RUN = {"notebook": "n", "cells": [{"id": "a", "source": "select 40 + 2"}], "head": 0}


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def options(folder: pathlib.Path, port: int) -> tuple[str, ...]:
    """A gateway's, for the service at a port."""
    return (
        f"--Gateway.service_url=https://localhost:{port}",
        f"--Gateway.service_authority={folder / 'authority.pem'}",
        f"--Gateway.service_certfile={folder / 'gateway.pem'}",
        f"--Gateway.service_keyfile={folder / 'gateway.key'}",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Apart:
    """A service that listens at a port, and a gateway that has nothing but its certificate."""

    cli: CommandLine
    port: int
    folder: pathlib.Path
    gateway: Central

    def at(self, name: str | None, folder: pathlib.Path | None = None) -> httpx.Client:
        """Somebody who comes to the port, with one of a folder's certificates or none."""
        context = ssl.create_default_context(cafile=self.folder / "authority.pem")
        if name is not None:
            shown = (folder or self.folder) / name
            context.load_cert_chain(shown.with_suffix(".pem"), shown.with_suffix(".key"))
        url = f"https://localhost:{self.port}/api/v1"
        return httpx.Client(base_url=url, verify=context, timeout=20)


@pytest.fixture(scope="module")
def apart(cellar_home_module: pathlib.Path) -> Iterator[Apart]:
    """Both, in homes of their own."""
    folder = certificates.make(cellar_home_module / "certificates")
    port = free_port()
    for name in ("service", "gateway"):
        (cellar_home_module / name).mkdir(mode=0o711)
    with (
        command_line(cellar_home_module / "service") as cli,
        command_line(cellar_home_module / "gateway") as elsewhere,
    ):
        home = cli.home / "home"
        home.mkdir(mode=0o711)
        (home / "pgcellar_config.py").write_text(
            f"{fixtures_central.CONFIG}"
            f"c.Listening.port = {port}\n"
            f"c.Listening.authority = {str(folder / 'authority.pem')!r}\n"
            f"c.Listening.certfile = {str(folder / 'service.pem')!r}\n"
            f"c.Listening.keyfile = {str(folder / 'service.key')!r}\n"
            "c.ServiceApp.idle_timeout = 1.0\n"
        )
        assert cli.json("service", "start")["status"] == "running"
        more = ("--Gateway.trusted_proxies=127.0.0.0/8",)
        with central_gateway(elsewhere, *options(folder, port), *more) as made:
            gateway = dataclasses.replace(made, cli=cli)
            yield Apart(cli=cli, port=port, folder=folder, gateway=gateway)
        assert not (elsewhere.home / "home" / "service.lock").exists()


def ended(who: httpx.Client, run: str) -> Any:
    """What a run gave."""
    deadline = time.monotonic() + 60
    while (answer := who.get(f"/runs/{run}/result")).status_code == 409:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answer.json()


def test_a_gateway_elsewhere_serves_people(apart: Apart) -> None:
    """Whom it names as the caller is believed: attempts are counted by that address."""
    proxied = {"X-Forwarded-For": "203.0.113.9"}
    with apart.gateway.client(**proxied) as stranger:
        guest = stranger.post("/identity/anonymous").json()
    with apart.gateway.client(guest["access_token"], **proxied) as ann:
        found = ended(ann, ann.post("/runs", json=RUN).json()["id"])
        assert found["cells"][0]["results"][0]["rows"] == [["42"]]
        acts = ann.get("/audit").json()["records"]
        assert {act["address"] for act in acts} == {"203.0.113.9"}
    # Idle for longer than it would be without a port.
    time.sleep(2.5)
    assert apart.cli.json("service", "status")["status"] == "running"


def renewed(folder: pathlib.Path, *, days: int) -> None:
    """The gateway's certificate again, as `late`, which ends so many days from now."""
    authority = x509.load_pem_x509_certificate((folder / "authority.pem").read_bytes())
    signing: Any = serialization.load_pem_private_key(
        (folder / "authority.key").read_bytes(), password=None
    )
    old = x509.load_pem_x509_certificate((folder / "gateway.pem").read_bytes())
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(extensions=list(old.extensions))
        .subject_name(old.subject)
        .issuer_name(authority.subject)
        .public_key(old.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now + datetime.timedelta(days=days))
        .sign(signing, None)
    )
    (folder / "late.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "late.key").write_bytes((folder / "gateway.key").read_bytes())


def test_who_has_no_certificate_of_the_authority_is_not_answered(
    apart: Apart, tmp_path: pathlib.Path
) -> None:
    other = certificates.make(tmp_path / "other")
    renewed(apart.folder, days=-1)
    shown: list[tuple[str | None, pathlib.Path | None]] = [
        (None, None),
        ("gateway", other),
        ("authority", other),
        ("late", None),
        # Which is none for a client.
        ("service", None),
    ]
    for name, folder in shown:
        with apart.at(name, folder) as stranger, pytest.raises(httpx.TransportError):
            stranger.get("/healthz")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://localhost:{apart.port}/healthz")
    renewed(apart.folder, days=1)
    with apart.at("late") as gateway:
        assert gateway.get("/me").status_code == 401


def claims(**changed: Any) -> dict[str, Any]:
    """A service's access token, but for what is changed."""
    now = int(time.time())
    return {
        "iss": "pgcellar", "aud": "pgcellar", "sub": "service:grader", "sid": "0" * 32,
        "jti": "1" * 32, "scope": "me runs", "name": "grader", "kind": "service", "roles": [],
        "iat": now, "exp": now + 600, **changed,
    }  # fmt: skip


def signing_key(cli: CommandLine) -> jwk.OKPKey:
    """The service's own, as who has the home and its control database can have it."""
    where = paths.Paths(
        home=cli.home / "home", runtime=next((cli.home / "run").glob("*/service")).parent
    )
    with psycopg.connect(
        host=str(where.runtime / "control"),
        port=server.PORT,
        dbname=database.DATABASE,
        user=embedded.SUPERUSER,
        password=(where.home / "control" / "password").read_text(),
    ) as connection:
        found = connection.execute("select private from signing_keys where retired is null")
        (sealed,) = found.fetchone() or ()
    plain = sealing.Sealer((where.home / sealing.FILE).read_text().strip()).unseal(sealed)
    return jwk.OKPKey.import_key(json.loads(plain))


def test_a_gateway_is_nobody_and_a_services_token_says_whose_it_is(apart: Apart) -> None:
    with apart.gateway.anonymous():
        # There is a key from the first token on.
        key = signing_key(apart.cli)

    def token(by: jwk.OKPKey, **changed: Any) -> str:
        header = {"alg": "Ed25519", "typ": "at+jwt", "kid": key.kid}
        return jwt.encode(header, claims(**changed), by, algorithms=["Ed25519"])

    with apart.at("gateway") as gateway:

        def status(shown: str | None, path: str = "/me", method: str = "GET") -> int:
            headers = {} if shown is None else {"Authorization": f"Bearer {shown}"}
            return gateway.request(method, path, headers=headers).status_code

        assert status(None) == 401
        assert status(None, "/service/stop", "POST") == 401
        assert status(None, "/audit") == 401
        good = token(key)
        me = gateway.get("/me", headers={"Authorization": f"Bearer {good}"}).json()
        assert (me["subject"], me["kind"], me["roles"]) == ("service:grader", "service", [])
        assert status(good, "/states") == 403
        assert status(good, "/service/stop", "POST") == 403
        for refused in (
            token(jwk.OKPKey.generate_key("Ed25519")),
            token(key, aud="snapshots"),
            token(key, aud=["pgcellar", "snapshots"]),
            token(key, iss="https://elsewhere.example"),
            token(key, exp=int(time.time()) - 60),
            token(key, iat=int(time.time()) + 600),
            f"{good[:-8]}AAAAAAAA",
        ):
            assert status(refused) == 401
    with apart.gateway.client(token(key, aud="snapshots")) as program:
        assert program.get("/me").status_code == 401


class Impostor:
    """Who listens where the service should; what it hears, after a handshake, is kept."""

    def __init__(self, certificate: pathlib.Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(
            certificate.with_suffix(".pem"), certificate.with_suffix(".key")
        )
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.came = threading.Event()
        self.heard = b""
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.came.set()
            with (
                contextlib.suppress(OSError),
                connection,
                self._context.wrap_socket(connection, server_side=True) as shaken,
            ):
                self.heard += shaken.recv(65536)

    def close(self) -> None:
        """Listen no more."""
        self._listening.close()


@pytest.mark.parametrize("kind", ["another authority", "another name", "a gateway's"])
def test_a_gateway_shows_no_token_to_who_is_not_the_service(
    apart: Apart, fresh_cli: CommandLine, tmp_path: pathlib.Path, kind: str
) -> None:
    folder = apart.folder
    if kind == "another authority":
        shown = certificates.make(tmp_path / "other") / "service.pem"
    elif kind == "another name":
        made = certificates.command("service").replace("DNS:localhost", "DNS:other.example")
        made = made.replace("service.key", "other.key").replace("service.pem", "other.pem")
        certificates.run(made, folder)
        shown = folder / "other.pem"
    else:
        shown = folder / "gateway.pem"
    impostor = Impostor(shown)
    try:
        with (
            central_gateway(fresh_cli, *options(folder, impostor.port)) as central,
            central.client("pgc_p_treasure") as ann,
            central.client() as stranger,
        ):
            refused = ann.get("/me")
            assert refused.status_code == 503
            assert refused.headers["Content-Type"].startswith("application/problem+json")
            login = {"email": "ann@example.org", "password": PASSWORD}
            assert stranger.post("/identity/password", json=login).status_code == 503
            assert impostor.came.is_set()
            assert impostor.heard == b""
            assert "certificate verify failed" in central.log.read_text()
    finally:
        impostor.close()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("--Gateway.service_url=http://localhost:1", "c.Gateway.service_url"),
        (
            "--Gateway.service_url=https://localhost:1 --Gateway.service_authority=/none.pem",
            "c.Gateway.service_url",
        ),
        ("--Gateway.certfile=/none.pem", "c.Gateway.certfile"),
    ],
)
def test_settings_that_lead_nowhere_say_so(fresh_cli: CommandLine, given: str, named: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pgcellar_server", "--port=0", *given.split(" ")],
        env=fresh_cli.environment,
        cwd=fresh_cli.home,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert named in done.stderr


class Cutting:
    """A way to a port that is cut, once it is told to be, when the next answer comes."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.armed = threading.Event()
        self.cuts = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                one, _ = self._listening.accept()
            except OSError:
                return
            other = socket.create_connection(("127.0.0.1", self._to))
            for source, sink, answers in ((one, other, False), (other, one, True)):
                threading.Thread(
                    target=self._pass, args=(source, sink, answers), daemon=True
                ).start()

    def _pass(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if answers and self.armed.is_set():
                    self.armed.clear()
                    self.cuts += 1
                    break
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        source.close()

    def close(self) -> None:
        """Listen no more."""
        self._listening.close()


def test_a_run_whose_answer_was_lost_is_one_run(apart: Apart, fresh_cli: CommandLine) -> None:
    """The gateway asks again, of a service that has it already; the caller gave no key."""
    way = Cutting(apart.port)
    try:
        with (
            central_gateway(fresh_cli, *options(apart.folder, way.port)) as central,
            central.anonymous() as ann,
        ):
            assert ann.get("/me").status_code == 200
            way.armed.set()
            answer = ann.post("/runs", json=RUN)
            assert answer.status_code in (200, 202), answer.text
            assert way.cuts == 1
            assert [each["id"] for each in ann.get("/runs").json()["runs"]] == [answer.json()["id"]]
            # Two requests without a key are two runs, as ever.
            ann.post("/runs", json=RUN)
            assert len(ann.get("/runs").json()["runs"]) == 2
    finally:
        way.close()


def test_what_would_be_done_twice_is_not_asked_again(apart: Apart, fresh_cli: CommandLine) -> None:
    """The service did it, and its answer was lost: a second token would be nobody's."""
    way = Cutting(apart.port)
    try:
        with (
            central_gateway(fresh_cli, *options(apart.folder, way.port)) as central,
            central.registered(f"{fresh_cli.home.name}@example.org") as ann,
        ):
            assert ann.get("/me").status_code == 200
            way.armed.set()
            lost = ann.post("/identity/tokens", json={"name": "ci", "scopes": ["runs"]})
            assert way.cuts == 1
            assert lost.status_code == 503
            assert "look before you ask again" in lost.json()["hint"]
            assert [each["name"] for each in ann.get("/identity/tokens").json()["tokens"]] == ["ci"]
    finally:
        way.close()


def test_who_refreshes_keeps_the_session_though_the_answer_is_lost(
    apart: Apart, fresh_cli: CommandLine
) -> None:
    """An anonymous session that ended here would take all work with it."""
    way = Cutting(apart.port)
    try:
        with (
            central_gateway(fresh_cli, *options(apart.folder, way.port)) as central,
            central.client() as stranger,
        ):
            guest = stranger.post("/identity/anonymous").json()
            way.armed.set()
            shown = {"refresh_token": guest["refresh_token"]}
            fresh = stranger.post("/identity/refresh", json=shown)
            assert way.cuts == 1
            assert fresh.status_code == 200, fresh.text
            with central.client(fresh.json()["access_token"]) as ann:
                assert ann.get("/me").json()["subject"] == guest["subject"]
            more = {"refresh_token": fresh.json()["refresh_token"]}
            assert stranger.post("/identity/refresh", json=more).status_code == 200
    finally:
        way.close()


def test_who_shows_nothing_keeps_no_gateway_out(apart: Apart) -> None:
    """However many connections wait in a handshake, few are held, and none for long."""

    def held() -> int:
        (lock,) = apart.cli.home.glob("home/service.lock")
        count = 0
        for each in pathlib.Path(f"/proc/{lock.read_text().split()[0]}/fd").iterdir():
            # One may be closed meanwhile.
            with contextlib.suppress(FileNotFoundError):
                count += os.readlink(each).startswith("socket:")
        return count

    before = held()
    with contextlib.ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", apart.port)))
            for _ in range(1_200)
        ]
        # Some begin what they do not end.
        for each in silent[::2]:
            with contextlib.suppress(OSError):
                each.sendall(b"\x16\x03\x01\x02\x00")
        with apart.at("gateway") as gateway:
            assert gateway.get("/me").status_code == 401
        assert held() < before + 700
        newest = silent[-1]
        newest.settimeout(30)
        with contextlib.suppress(ConnectionError):
            assert newest.recv(64) == b""
    with apart.gateway.anonymous() as ann:
        assert ann.get("/me").status_code == 200


async def test_a_gateway_that_asks_much_at_once_is_let_in(apart: Apart) -> None:
    """As one that has just been started, before a class: none of its handshakes is taken for
    a silent one's."""
    certificate = apart.folder / "gateway"
    tls = ssl.create_default_context(cafile=apart.folder / "authority.pem")
    tls.load_cert_chain(certificate.with_suffix(".pem"), certificate.with_suffix(".key"))
    many = httpx.Limits(max_connections=300)
    url = f"https://localhost:{apart.port}"
    async with httpx.AsyncClient(base_url=url, verify=tls, limits=many, timeout=60) as gateway:
        answers = await asyncio.gather(*(gateway.get("/healthz") for _ in range(300)))
        assert {answer.status_code for answer in answers} == {200}


# --- on one machine --------------------------------------------------------------------------


#: Another user's program: asks, and prints what is answered; or listens, and waits.
_ASK = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX)
try:
    s.connect(sys.argv[1])
    s.sendall(b"GET /api/v1/me HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
    while data := s.recv(65536):
        sys.stdout.buffer.write(data)
except OSError as exc:
    print(type(exc).__name__)
"""
_LISTEN = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1]); s.listen(); os.chmod(sys.argv[1], 0o777)
print("listening", flush=True)
sys.stdin.read()
"""
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can be two users")


@as_root
def test_the_service_answers_no_other_user(fresh_cli: CommandLine) -> None:
    assert fresh_cli.json("service", "start")["status"] == "running"
    (path,) = (fresh_cli.home / "run").glob("*/service/http.sock")

    def asked() -> str:
        done = subprocess.run([sys.executable, "-c", _ASK, path], capture_output=True, text=True)
        return done.stdout

    assert asked() == "PermissionError\n"
    # Should somebody open what is closed:
    for each in (path.parents[2], path.parents[1], path.parent):
        each.chmod(0o711)
    path.chmod(0o777)
    answer = asked()
    assert answer.startswith("HTTP/1.1 403 ")
    assert "belongs to another user" in answer


@as_root
async def test_nobody_else_is_taken_for_the_service() -> None:
    """A folder may be ours, and the socket in it another's."""
    runtime = pathlib.Path("/tmp") / f"cellar-{os.getpid()}-{time.monotonic_ns()}"
    runtime.mkdir(mode=0o777)
    runtime.chmod(0o777)
    path = runtime / "s"
    with subprocess.Popen(
        [sys.executable, "-c", _LISTEN, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "listening\n"
            dial = transport.unix(str(path))
            with pytest.raises(errors.ServiceUnavailable, match="another user"):
                await dial()
        finally:
            process.terminate()
            path.unlink(missing_ok=True)
            runtime.rmdir()
