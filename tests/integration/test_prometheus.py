"""A real Prometheus scrapes a running service; rules, alerts and dashboards name what exists."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from tests.fixtures_central import Central, central_gateway
from tests.fixtures_service import CommandLine, command_line

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana").glob("*.json"))
#: Runs of one person that run at a time: those beyond wait.
RUNNING = 8
#: Words of PromQL, and names that are labels or values.
NAME = re.compile(r"\b((?:pgcellar|process)_[a-z_]+)\b")


def program(name: str) -> str:
    """A program of Debian's package `prometheus`: see `make prometheus`."""
    beside = pathlib.Path(sys.prefix) / "prometheus" / "usr" / "bin" / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not here: `make prometheus` gets it where there is apt")
    return found


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def scraped(cellar_home_module: pathlib.Path) -> Iterator[tuple[CommandLine, int]]:
    """A service that has run something, and the port of its metrics."""
    port = free_port()
    home = cellar_home_module / "home"
    home.mkdir(mode=0o711)
    (home / "pgcellar_config.py").write_text(
        f"c = get_config()\nc.Telemetry.metrics_port = {port}\nc.ServiceApp.snapshot_count = 2\n"
    )
    with command_line(cellar_home_module) as cli:
        cells = [f"create table t{n} as select generate_series(1, 100)" for n in range(4)]
        cli.run(["select 1/0"])
        cli.run([*cells, "select * from t1"])
        # The empty state, and the last one.
        wait_for(port, "pgcellar_snapshots", 2)
        cli.run([*cells, "create table other as select * from t1", "select * from t1"])
        yield cli, port


@dataclasses.dataclass(frozen=True, kw_only=True)
class Behind:
    """A central gateway, the port of its metrics, and the port of its service's."""

    central: Central
    port: int
    service: int


@pytest.fixture(scope="module")
def behind(cellar_home_module: pathlib.Path) -> Iterator[Behind]:
    """A central gateway that has been asked for something."""
    port, service, home = free_port(), free_port(), cellar_home_module / "central"
    home.mkdir(mode=0o711)
    config = f"c.Telemetry.metrics_port = {service}\n"
    option = f"--Gateway.metrics_port={port}"
    with command_line(home) as cli, central_gateway(cli, option, config=config) as central:
        with central.anonymous() as somebody:
            for _ in range(3):
                assert somebody.get("/me").status_code == 200
            assert somebody.get("/runs/" + "0" * 32).status_code == 404
            assert somebody.get("/x/../../etc/passwd").status_code == 404
            assert somebody.request("BREW", "/me").status_code in (400, 405)
        with central.client() as stranger:
            assert stranger.get("/me").status_code == 401
            assert stranger.options("/me").status_code == 204
        yield Behind(central=central, port=port, service=service)


@pytest.fixture(scope="module")
def gateway_port(behind: Behind) -> int:
    """The port of its metrics."""
    return behind.port


def metrics(port: int) -> str:
    """What Prometheus is given."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        body: bytes = answer.read()
    return body.decode()


def counted(port: int, series: str) -> float:
    """What a scrape says of a series; 0 where it has none."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", metrics(port), re.MULTILINE)
    return float(found[1]) if found else 0.0


def wait_for(port: int, series: str, value: float) -> None:
    """Until a scrape says that."""
    deadline = time.monotonic() + 60
    while (found := counted(port, series)) != value:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def answers(port: int) -> bool:
    """Whether a scrape succeeds."""
    try:
        return bool(metrics(port))
    except (urllib.error.URLError, ConnectionError):
        return False


def names(text: str) -> set[str]:
    """The series in an answer, as queries name them, those without samples yet included."""
    out = set()
    for kind, name, what in re.findall(r"^# (TYPE) (\S+) (\S+)", text, re.MULTILINE):
        assert kind == "TYPE"
        suffixes = ("_bucket", "_sum", "_count") if what == "histogram" else ("",)
        out |= {name + suffix for suffix in suffixes}
    return out


def expressions(dashboard: pathlib.Path) -> list[str]:
    """The queries of a dashboard."""
    body = json.loads(dashboard.read_text())
    queries = [target["expr"] for panel in body["panels"] for target in panel["targets"]]
    return queries + [each["query"] for each in body["templating"]["list"]]


def test_only_metrics_are_answered_at_the_port(scraped: tuple[CommandLine, int]) -> None:
    _, port = scraped
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/service", timeout=10)
    text = metrics(port)
    assert "pgcellar_control_up 1.0" in text
    assert 'pgcellar_runs_total{identity="os",outcome="failed"} 1.0' in text
    assert 'route="/api/v1/runs",status="200"' in text


def test_states_that_are_given_up_are_counted(scraped: tuple[CommandLine, int]) -> None:
    """There is room for two: of what is kept, behind the runs' back, one is given up."""
    wait_for(scraped[1], "pgcellar_snapshot_evictions_total", 1)
    assert counted(scraped[1], "pgcellar_snapshots") == 2


def test_the_gateway_counts_by_template(gateway_port: int) -> None:
    """Whatever paths and methods people think of."""
    text = metrics(gateway_port)
    count = 'pgcellar_gateway_requests_total{method="GET",route="%s",status="%d"} %.1f'
    assert count % ("/me", 200, 3) in text
    assert count % ("/me", 401, 1) in text
    assert count % ("/runs/{run}", 404, 1) in text
    asked = count.replace("GET", "OPTIONS")
    assert asked % ("/me", 204, 1) in text
    assert 'pgcellar_gateway_denials_total{reason="unauthenticated"} 1.0' in text
    assert "pgcellar_gateway_open_requests 0.0" in text
    assert "\npgcellar_gateway_connections " in text
    assert "passwd" not in text
    assert "BREW" not in text
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{gateway_port}/pgcellar/api/v1/me", timeout=10)


def test_what_a_quota_refuses_is_counted(behind: Behind) -> None:
    """At the service, which refuses it, and at the gateway, which says so."""
    limits = 'denials_total{reason="limit"}'
    before = counted(behind.service, f"pgcellar_{limits}")
    at_gateway = counted(behind.port, f"pgcellar_gateway_{limits}")
    with behind.central.anonymous() as somebody:
        subject = somebody.get("/profiles/me").json()["subject"]
        behind.central.cli("admin", "quotas", "set", subject, "runs_per_minute=0")
        for _ in range(2):
            refused = somebody.post("/runs", json=run("select 1"))
            assert refused.status_code == 429, refused.text
    assert counted(behind.service, f"pgcellar_{limits}") == before + 2
    assert counted(behind.port, f"pgcellar_gateway_{limits}") == at_gateway + 2


def test_runs_that_wait_for_their_turn_are_counted(behind: Behind) -> None:
    """All beyond those that run at once, until one of these is over."""
    queued = "pgcellar_runs_queued"
    with behind.central.anonymous() as somebody:
        # A notebook's runs go one after the other, and each has its place among those that run.
        begun = [
            somebody.post("/runs", json=run(f"select pg_sleep(3600), {number}"))
            for number in range(RUNNING + 3)
        ]
        assert {answer.status_code for answer in begun} == {202}
        runs = [answer.json()["id"] for answer in begun]
        wait_for(behind.service, queued, 3)
        statuses = [each["status"] for each in somebody.get("/runs").json()["runs"]]
        assert (statuses.count("queued"), statuses.count("running")) == (3, RUNNING)
        for ident in runs[:2]:
            assert somebody.post(f"/runs/{ident}/cancel").status_code == 200
        wait_for(behind.service, queued, 1)
        for ident in runs[2:]:
            somebody.post(f"/runs/{ident}/cancel")
        wait_for(behind.service, queued, 0)


def run(source: str) -> dict[str, Any]:
    """A request to run a cell."""
    return {"notebook": "n", "cells": [{"id": "a", "source": source}], "head": 0}


def test_what_dashboards_and_alerts_name_exists(
    scraped: tuple[CommandLine, int], gateway_port: int
) -> None:
    there = names(metrics(scraped[1])) | names(metrics(gateway_port))
    assert len(DASHBOARDS) == 4
    for dashboard in DASHBOARDS:
        for query in expressions(dashboard):
            assert set(NAME.findall(query)) <= there, f"{dashboard.name}: {query}"
    rules = (DEPLOY / "prometheus" / "alerts.yml").read_text()
    queries = re.sub(r"^ +(summary|action): .*$", "", rules, flags=re.MULTILINE)
    assert set(NAME.findall(queries)) <= there


def test_the_docs_list_every_metric_and_no_other(
    scraped: tuple[CommandLine, int], gateway_port: int
) -> None:
    page = (ROOT / "docs" / "telemetry.md").read_text()
    listed = set(re.findall(r"^\| `(pgcellar_[a-z_]+)` \|", page, re.MULTILINE))
    there = {
        name
        for port in (scraped[1], gateway_port)
        for name in re.findall(r"^# TYPE (pgcellar_\S+) ", metrics(port), re.MULTILINE)
        if not name.endswith("_created")
    }
    assert listed == there


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "alerts.yml"),
        ("check", "config", "prometheus.yml"),
        ("test", "rules", "alerts_test.yml"),
    ],
)
def test_promtool_finds_no_fault(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [program("promtool"), *arguments],
        cwd=DEPLOY / "prometheus",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_likes_the_metrics(scraped: tuple[CommandLine, int], gateway_port: int) -> None:
    for port in (scraped[1], gateway_port):
        done = subprocess.run(
            [program("promtool"), "check", "metrics"],
            input=metrics(port),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested() -> None:
    rules = (DEPLOY / "prometheus" / "alerts.yml").read_text()
    cases = (DEPLOY / "prometheus" / "alerts_test.yml").read_text()
    for alert in re.findall(r"- alert: (\w+)", rules):
        assert cases.count(f"alertname: {alert}") == 2


@pytest.fixture(scope="module")
def prometheus(
    scraped: tuple[CommandLine, int], gateway_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A Prometheus that scrapes the service and the gateway; its address."""
    folder = tmp_path_factory.mktemp("prometheus")
    config = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    config = config.replace("9464", str(scraped[1])).replace("9465", str(gateway_port))
    config = config.replace("15s", "1s")
    (folder / "prometheus.yml").write_text(config)
    shutil.copy(DEPLOY / "prometheus" / "alerts.yml", folder)
    address = f"127.0.0.1:{free_port()}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)


def ask(prometheus: str, path: str, **query: str) -> Any:
    """What Prometheus's API answers; None while it does not listen."""
    try:
        url = f"{prometheus}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as exc:
        if exc.code == 503:
            return None
        raise AssertionError(exc.read().decode()) from exc
    except urllib.error.URLError:
        return None


def test_prometheus_scrapes_a_running_service(
    prometheus: str, scraped: tuple[CommandLine, int]
) -> None:
    deadline = time.monotonic() + 60

    def value(query: str) -> float | None:
        found = ask(prometheus, "query", query=query)
        return float(found["result"][0]["value"][1]) if found and found["result"] else None

    while value('up{job="pgcellar"}') != 1:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    while value('up{job="pgcellar-gateway"}') != 1:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert value('sum(pgcellar_gateway_requests_total{route="/me",status="200"})') == 3
    # One head, and five, and six.
    assert value("sum(pgcellar_runs_total)") == 12
    assert value("pgcellar_control_up") == 1
    assert value('pgcellar_sandboxes{status="running"}') == 1
    while value("pgcellar_snapshot_evictions_total") != 1:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert (value('pgcellar_cells_total{place="tail",source="hit"}') or 0) > 0
    (group,) = ask(prometheus, "rules")["groups"]
    assert "err" not in {rule["health"] for rule in group["rules"]}
    for dashboard in DASHBOARDS:
        for query in expressions(dashboard):
            if "label_values" in query or query == "prometheus":
                continue
            query = query.replace("$instance", ".*").replace("$__rate_interval", "1m")
            assert ask(prometheus, "query", query=query)["resultType"] == "vector"


def test_scraping_keeps_no_service_awake(fresh_cli: CommandLine) -> None:
    """Nor does a monitor that asks for health."""
    port = free_port()
    home = fresh_cli.home / "home"
    home.mkdir(mode=0o711)
    (home / "pgcellar_config.py").write_text(
        f"c = get_config()\nc.Telemetry.metrics_port = {port}\nc.ServiceApp.idle_timeout = 3.0\n"
    )
    assert fresh_cli.json("service", "start")["status"] == "running"
    deadline = time.monotonic() + 60
    while answers(port):
        assert time.monotonic() < deadline
        time.sleep(0.2)
