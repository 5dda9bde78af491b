"""TCP sockets to listen on: addresses, error messages and the limit on open files."""

from __future__ import annotations

import re
import resource
import socket

import pytest

from nomad_sim.sockets import Address, ListenError, PortInUse, listen, raise_file_limit


def test_socket_listens_on_its_host_only() -> None:
    with listen(Address("127.0.0.1")) as listener:
        host, port = listener.getsockname()

        assert host == "127.0.0.1"
        with socket.create_connection((host, port)):
            pass


def test_ipv6_host_is_supported() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with listen(Address("::1")) as listener:
        assert listener.family == socket.AF_INET6


def test_host_name_is_resolved() -> None:
    with listen(Address("localhost")) as listener:
        assert listener.getsockname()[0] in {"127.0.0.1", "::1"}


def test_released_port_can_be_reused() -> None:
    with listen(Address("127.0.0.1")) as first:
        port = first.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            first.accept()[0].close()

    with listen(Address("127.0.0.1", port)) as second:
        assert second.getsockname()[1] == port


def test_port_in_use_is_named() -> None:
    with listen(Address("127.0.0.1")) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(
            PortInUse, match=rf"^cannot listen on 127\.0\.0\.1:{port}: Address already in use$"
        ) as error:
            listen(Address("127.0.0.1", port))
        assert error.value.port == port


def test_foreign_address_is_named() -> None:
    with pytest.raises(ListenError, match=r"^cannot listen on 192\.0\.2\.1:1: Cannot assign requested address"):
        listen(Address("192.0.2.1", 1))


@pytest.mark.parametrize("host", ["::nowhere", "a..b", "a" * 64])
def test_invalid_host_is_named(host: str) -> None:
    with pytest.raises(ListenError, match=rf"^cannot listen on {re.escape(str(Address(host, 14646)))}: "):
        listen(Address(host, 14646))


@pytest.mark.parametrize(
    ("address", "text"), [(Address("127.0.0.1", 1), "127.0.0.1:1"), (Address("::1", 1), "[::1]:1")]
)
def test_address_is_formatted_as_host_and_port(address: Address, text: str) -> None:
    assert str(address) == text


def test_file_limit_is_raised_to_the_hard_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
    try:
        raise_file_limit()

        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
