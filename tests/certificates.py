"""Certificates of a gateway and its service, made by the commands that the docs give."""

from __future__ import annotations

import pathlib
import re
import subprocess

_PAGE = (pathlib.Path(__file__).parents[1] / "docs" / "identity.md").read_text()
_NAME = "sql-service.example.org"


def make(folder: pathlib.Path) -> pathlib.Path:
    """An authority, and both certificates, in a new folder; the service's is for `localhost`."""
    folder.mkdir()
    commands = re.findall(r"^    (openssl req .*)$", _PAGE, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        run(command.replace(_NAME, "localhost"), folder)
    return folder


def alone(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """A key and a certificate for this machine that nobody else has signed."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    request = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    name = "-addext subjectAltName=IP:127.0.0.1"
    run(f"{request} {name} -keyout {key.name} -out {certificate.name}", folder)
    return key, certificate


def run(command: str, folder: pathlib.Path) -> None:
    """One of the commands, in a folder."""
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)


def command(name: str) -> str:
    """The command that makes one of the two certificates."""
    (found,) = re.findall(rf"^    (openssl req .* -out {name}\.pem)$", _PAGE, re.MULTILINE)
    return str(found).replace(_NAME, "localhost")
