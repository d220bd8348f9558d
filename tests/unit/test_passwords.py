"""pgcellar.identity.passwords: which addresses are one, and which are none."""

from __future__ import annotations

import pytest

from pgcellar.api import errors
from pgcellar.identity import passwords


@pytest.mark.parametrize(
    "given",
    ["boss@example.org ", "\tBOSS@EXAMPLE.ORG", "ｂｏｓｓ@example.org", "boss@example.org\u2028"],
)
def test_which_addresses_are_one(given: str) -> None:
    assert passwords.email({"email": given}) == "boss@example.org"


@pytest.mark.parametrize(
    "given",
    [
        "boss\u200b@example.org",
        "\u202eboss@example.org",
        "boss@\u00a0example.org",
        "boss\u0000@example.org",
        "boss\ud800@example.org",
        "a" * 300 + "@example.org",
        "@example.org",
        "boss@",
        5,
        None,
    ],
)
def test_what_is_no_address(given: object) -> None:
    with pytest.raises(errors.BadRequest):
        passwords.email({"email": given})
