"""Fixtures of a real JupyterLab with the extension, and Debian's Chromium: a pytest plugin."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from tests.fixtures_service import CommandLine

ROOT = pathlib.Path(__file__).parents[1]
EXTENSION = ROOT / "labextension" / "built"
#: Where screenshots are left to be looked at.
PICTURES = pathlib.Path(
    os.environ.get("PGCELLAR_PICTURES", ROOT / "tests" / "browser" / "pictures")
)
CHROMIUM = shutil.which("chromium")
#: Without these, Chromium looks for hosts of its own.
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
}
#: It asks for all that nbconvert exports to, which takes seconds: see `_end`.
_DISABLED = ("@jupyterlab/notebook-extension:export",)
#: What `make bench` installs beside ours: it has every cell highlighted as Python.
_OTHERS = ("jupysql-plugin",)
_EXTENSIONS = ("pgcellar_server", "jupyterlab", "notebook")
#: For a JupyterLab that starts, or that stops its kernels, on a machine that does much else.
START_SECONDS = 90.0
#: The same for what is to be seen: how long it takes is for the bench to say.
expect.set_options(timeout=60_000)
#: Kernels of notebooks.
SQL = {"name": "pgcellar", "display_name": "SQL (PostgreSQL)", "language": "sql"}
PYTHON = {"name": "python3", "display_name": "Python 3", "language": "python"}
_ROWS = """index => {
  const { content } = window.jupyterapp.shell.currentWidget;
  const outputs = content.model.cells.get(index).outputs.toJSON();
  const shown = outputs.map(output => output.data?.["application/vnd.pgcellar.result+json"]);
  return shown.find(result => result)?.rows ?? [];
}"""
_TEXT = """index =>
  window.jupyterapp.shell.currentWidget.content.model.cells.get(index).sharedModel.getSource()"""
#: The kernel of the notebook in front, in the page.
KERNEL = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Lab:
    """A JupyterLab that runs."""

    url: str
    token: str
    folder: pathlib.Path

    def notebook(self, name: str, sources: Sequence[str], kernel: Mapping[str, str] = SQL) -> str:
        """Write a notebook of cells with ids c1, c2, …; its address in JupyterLab."""
        cells = [
            {
                "cell_type": "code", "id": f"c{number}", "execution_count": None, "outputs": [],
                "metadata": {}, "source": source,
            }
            for number, source in enumerate(sources, start=1)
        ]  # fmt: skip
        metadata = {"kernelspec": kernel, "language_info": {"name": kernel["language"]}}
        content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
        (self.folder / name).write_text(json.dumps(content))
        return self.address(f"/tree/{name}")

    def address(self, path: str = "") -> str:
        """An address in JupyterLab, in a workspace that is left as it was found."""
        return f"{self.url}/lab/workspaces/{secrets.token_hex(4)}{path}?token={self.token}&reset"


@contextlib.contextmanager
def jupyter_lab(
    cli: CommandLine,
    *options: str,
    extension: pathlib.Path = EXTENSION,
    disabled: Sequence[str] = (),
    settings: Mapping[str, Mapping[str, object]] | None = None,
) -> Iterator[Lab]:
    """A JupyterLab with the extension, on the home of a command line; some extensions disabled."""
    home = cli.home / f"lab-{secrets.token_hex(4)}"
    folder = home / "notebooks"
    folder.mkdir(parents=True)
    links = home / "share" / "jupyter" / "labextensions"
    links.mkdir(parents=True)
    (links / "pgcellar-labextension").symlink_to(extension)
    (home / "config").mkdir()
    front = {"expose_app_in_browser": True, "extra_labextensions_path": [str(links)]}
    config = {
        "ServerApp": {"jpserver_extensions": dict.fromkeys(_EXTENSIONS, True)},
        "LabApp": front,
        "JupyterNotebookApp": front,
    }
    (home / "config" / "jupyter_server_config.json").write_text(json.dumps(config))
    overrides = home / "config" / "labconfig" / "default_setting_overrides.json"
    overrides.parent.mkdir()
    overrides.write_text(json.dumps({**_SETTINGS, **(settings or {})}))
    shown = {"disabledExtensions": dict.fromkeys((*_DISABLED, *disabled), True)}
    (overrides.parent / "page_config.json").write_text(json.dumps(shown))
    token, port = secrets.token_hex(16), _free_port()
    log = (home / "log").open("w")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "jupyterlab",
            f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0",
            "--ServerApp.allow_root=True",
            "--ServerApp.open_browser=False",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.root_dir={folder}",
            f"--LabApp.user_settings_dir={home / 'settings'}",
            f"--LabApp.workspaces_dir={home / 'workspaces'}",
            *options,
        ],
        env={
            **cli.environment,
            "JUPYTER_CONFIG_DIR": str(home / "config"),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
            "JUPYTER_DATA_DIR": str(home / "share" / "jupyter"),
            "JUPYTER_PATH": os.environ["JUPYTER_PATH"],
            "JUPYTER_TOKEN": token,
        },
        stdout=log,
        stderr=log,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(port, process, home / "log")
        yield Lab(url=url, token=token, folder=folder)
    finally:
        _end(port, process)
        log.close()


def _end(port: int, process: subprocess.Popen[bytes]) -> None:
    """Stop a JupyterLab.

    A Jupyter Server that is stopped while a thread does something for a request serves no more, but
    its process may stay: the request's task goes with the loop, and anyio ends a worker's thread
    with the task that began it. So what serves no more is killed in the end.
    """
    process.terminate()
    try:
        process.wait(START_SECONDS)
    except subprocess.TimeoutExpired:
        serves = _listens(port)
        process.kill()
        process.wait()
        if serves:
            raise


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _wait(port: int, process: subprocess.Popen[bytes], log: pathlib.Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _listens(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Front:
    """A page with a notebook in JupyterLab, used as a person would."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open(self, address: str) -> None:
        """Open a notebook, and wait until its kernel is ready."""
        self.page.goto(address)
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        self.page.wait_for_function(f"{KERNEL}?.status === 'idle'", timeout=60_000)

    def reload(self) -> None:
        """Load the page anew; the notebook is opened again, on the kernel that runs."""
        self.page.reload()
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        self.page.wait_for_function(f"{KERNEL}?.status === 'idle'", timeout=60_000)

    def idle(self, timeout: float = 60.0) -> None:
        """Wait until the kernel has nothing to do."""
        self.page.wait_for_function(f"{KERNEL}?.status === 'idle'", timeout=timeout * 1000)

    def cell(self, number: int) -> Locator:
        """The cell of a number, counted from 1."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook-cell").nth(
            number - 1
        )

    def select(self, number: int) -> None:
        """Make a cell the active one, in command mode."""
        self.cell(number).locator(".jp-InputPrompt").click()

    def type(self, number: int, text: str) -> None:
        """Replace a cell's text."""
        self.cell(number).locator(".cm-content").click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(text)

    def text(self, number: int) -> str:
        """A cell's text."""
        found: str = self.page.evaluate(_TEXT, number - 1)
        return found

    def executed(self, number: int) -> str:
        """The number that a cell's last execution has."""
        return self.cell(number).locator(".jp-InputPrompt").inner_text()

    def run(self, number: int) -> None:
        """Run a cell, and stay on it."""
        self.select(number)
        self.page.keyboard.press("Control+Enter")

    def rows(self, number: int) -> list[list[str | None]]:
        """The rows of a cell's first result: a grid draws them, so they are no text of the page."""
        found: list[list[str | None]] = self.page.evaluate(_ROWS, number - 1)
        return found

    def status(self, number: int) -> str | None:
        """How a cell stands, as its mark shows."""
        return self.cell(number).get_attribute("data-pgcellar-status")

    def wait_status(self, number: int, *statuses: str, timeout: float = 60.0) -> str:
        """Wait until a cell stands so."""
        deadline = time.monotonic() + timeout
        while (found := self.status(number)) not in statuses:
            if time.monotonic() > deadline:
                raise AssertionError(f"cell {number} is {found}, not {' or '.join(statuses)}")
            self.page.wait_for_timeout(20)
        assert found is not None
        return found

    def wait_ran(self, number: int, timeout: float = 60.0) -> str:
        """Wait until a cell has run and it is known how it stands."""
        found = self.wait_status(number, "current", "cached", "pinned", "failed", timeout=timeout)
        # How it stands may be known before all that it shows has come.
        expect(self.cell(number).locator(".jp-InputPrompt")).not_to_have_text("[*]:")
        return found

    def command(self, identity: str, **arguments: object) -> None:
        """Execute a command of JupyterLab's."""
        self.page.evaluate(
            "([id, args]) => { void window.jupyterapp.commands.execute(id, args) }",
            [identity, arguments],
        )

    def dark(self, dark: bool = True) -> None:
        """Choose a theme."""
        name = "JupyterLab Dark" if dark else "JupyterLab Light"
        self.command("apputils:change-theme", theme=name)
        self.page.wait_for_selector(
            f"body[data-jp-theme-light={str(not dark).lower()!r}]", state="attached"
        )

    def picture(self, name: str) -> None:
        """Keep a screenshot in both themes."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        for dark in (True, False):
            self.dark(dark)
            self.page.wait_for_timeout(150)
            self.page.screenshot(path=PICTURES / f"{name}-{'dark' if dark else 'light'}.png")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Not for the session: Playwright's event loop runs as long as it does."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    if not (EXTENSION / "package.json").exists():
        pytest.skip("the JupyterLab extension is not built: it needs Node")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
        try:
            yield made
        finally:
            made.close()


@pytest.fixture(scope="module")
def lab(browser: Browser, kernel_home: CommandLine) -> Iterator[Lab]:
    """A JupyterLab for the tests of a module, on the home of the kernels."""
    with jupyter_lab(kernel_home, disabled=_OTHERS) as made:
        yield made


@pytest.fixture
def front(browser: Browser, lab: Lab) -> Iterator[Front]:
    """A page of this test's own; what it logs as an error fails the test."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(error.stack or str(error)))
    try:
        yield Front(page)
    finally:
        context.close()
    # Notebook 7 logs an error of its own at every start.
    assert not [fault for fault in faults if "/static/notebook/" not in fault]
