"""Which addresses are one; and names that are shown."""

from __future__ import annotations

import pytest

from pgcellar.identity import providers
from pgcellar.web import authentication


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:ffff:ffff:ffff", "2001:db8::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("a\nb", "a\nb"),
    ],
)
def test_who_has_an_address_has_its_network(address: str, network: str) -> None:
    assert authentication.network(address) == network


@pytest.mark.parametrize(
    ("name", "shown"),
    [("Ann", "Ann"), (" A\n\tB ", "A B"), ("\u202egnp\x1b[31m", "gnp[31m"), ("", "?"), (7, "7")],
)
def test_a_name_is_one_harmless_line(name: object, shown: str) -> None:
    assert providers.printable(name) == shown


def test_a_long_name_is_cut() -> None:
    assert len(providers.printable("x" * 1000)) == providers.MAX_NAME
