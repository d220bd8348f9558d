"""pgcellar_server.addresses: whose word for an address is taken, and which addresses are one."""

from __future__ import annotations

import ipaddress

import pytest

from pgcellar_server import addresses

PROXIES = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "said", "found"),
    [
        ("192.0.2.7", "", "192.0.2.7"),
        ("192.0.2.7", "203.0.113.1", "192.0.2.7"),
        ("10.0.0.1", "203.0.113.1", "203.0.113.1"),
        ("10.0.0.1", "203.0.113.1, 192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "203.0.113.1, 10.0.0.2", "203.0.113.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", ",", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "nonsense, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "a\r\nb", "10.0.0.1"),
        ("10.0.0.1", "x" * 100_000, "10.0.0.1"),
        ("10.0.0.1", "2001:db8::1%" + "x" * 100, "2001:db8::1"),
        ("::ffff:10.0.0.1", "203.0.113.1", "203.0.113.1"),
        ("fd00::1", "2001:db8::1", "2001:db8::1"),
        ("", "203.0.113.1", ""),
    ],
)
def test_where_a_request_is_from(peer: str, said: str, found: str) -> None:
    assert addresses.caller(peer, said, PROXIES) == found


def test_without_proxies_nobodys_word_is_taken() -> None:
    assert addresses.caller("10.0.0.1", "203.0.113.1", ()) == "10.0.0.1"


@pytest.mark.parametrize(
    ("peer", "said", "found"),
    [
        ("10.0.0.1", "https", True),
        ("10.0.0.1", " HTTPS ", True),
        ("10.0.0.1", "https, http", True),
        ("10.0.0.1", "http, https", False),
        ("10.0.0.1", "http", False),
        ("10.0.0.1", "", False),
        ("10.0.0.1", "x" * 100_000, False),
        ("::ffff:10.0.0.1", "https", True),
        ("192.0.2.7", "https", False),
        ("", "https", False),
    ],
)
def test_whether_a_proxy_was_asked_over_tls(peer: str, said: str, found: bool) -> None:
    assert addresses.secure(peer, said, PROXIES) is found


@pytest.mark.parametrize(
    ("address", "bucket"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:ffff:ffff:ffff", "2001:db8::/64"),
        ("", ""),
    ],
)
def test_which_addresses_are_one(address: str, bucket: str) -> None:
    assert addresses.bucket(address) == bucket
