"""Listening sockets: which addresses are bound, which sockets are replaced, and the texts of errors."""

from __future__ import annotations

import contextlib
import re
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from nomad_exporter.server.listen import CannotListen, Listen, listen, raise_file_limit


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


def can_connect(family: socket.AddressFamily, address: tuple[str, int] | str) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        return client.connect_ex(address) == 0


@contextlib.contextmanager
def listening(address: Listen) -> Iterator[int]:
    """Listen on ``address`` within the block, and yield the port; 0 for a Unix socket."""
    with listen(address) as bound:
        name = bound.getsockname()
        yield 0 if isinstance(name, str) else name[1]


def test_host_is_the_only_address_listened_on() -> None:
    with listen(Listen("127.0.0.1", 0)) as bound:
        host, port = bound.getsockname()

        assert host == "127.0.0.1"
        assert can_connect(socket.AF_INET, ("127.0.0.1", port))


@needs_ipv6
def test_ipv6_host_is_listened_on() -> None:
    with listening(Listen("::1", 0)) as port:
        assert can_connect(socket.AF_INET6, ("::1", port))


def test_host_name_is_resolved() -> None:
    with listen(Listen("localhost", 0)) as bound:
        assert bound.getsockname()[0] in {"127.0.0.1", "::1"}


def test_empty_host_listens_on_all_addresses() -> None:
    with listening(Listen("", 0)) as port:
        assert can_connect(socket.AF_INET, ("127.0.0.1", port))


@needs_ipv6
def test_empty_host_listens_on_ipv4_and_ipv6() -> None:
    with listening(Listen("", 0)) as port:
        assert can_connect(socket.AF_INET, ("127.0.0.1", port))
        assert can_connect(socket.AF_INET6, ("::1", port))


def test_empty_host_listens_on_ipv4_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)

    with listening(Listen("", 0)) as port:
        assert can_connect(socket.AF_INET, ("127.0.0.1", port))


def test_closed_port_can_be_bound_again_at_once() -> None:
    with listen(Listen("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            first.accept()[0].close()

    with listening(Listen("127.0.0.1", port)) as again:
        assert again == port


def test_error_names_a_port_in_use() -> None:
    with listening(Listen("127.0.0.1", 0)) as port, pytest.raises(CannotListen) as refused:
        listen(Listen("127.0.0.1", port))

    assert str(refused.value).startswith(f"127.0.0.1:{port}: Address already in use")


def test_error_names_an_address_of_another_machine() -> None:
    with pytest.raises(CannotListen, match=r"^192\.0\.2\.1:1: Cannot assign requested address"):
        listen(Listen("192.0.2.1", 1))


def test_error_names_an_unresolvable_host() -> None:
    with pytest.raises(CannotListen, match=r"^\[::nowhere\]:9441: "):
        listen(Listen("::nowhere", 9441))


def test_unix_socket_is_listened_on(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")

    with listening(Listen(path=path)):
        assert can_connect(socket.AF_UNIX, path)


def test_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with listening(Listen(path=path)):
        pass
    assert Path(path).is_socket()

    with listening(Listen(path=path)):
        assert can_connect(socket.AF_UNIX, path)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (Listen("", 9441), ":9441"),
        (Listen("127.0.0.1", 9441), "127.0.0.1:9441"),
        (Listen("::1", 9441), "[::1]:9441"),
        (Listen(path="/run/x.sock"), "unix:/run/x.sock"),
    ],
)
def test_address_is_formatted_like_the_setting(address: Listen, text: str) -> None:
    assert str(address) == text


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_error_names_an_invalid_host_name(host: str) -> None:
    with pytest.raises(CannotListen, match=rf"^{re.escape(host)}:9441: "):
        listen(Listen(host, 9441))


def test_unix_socket_in_use_is_not_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")

    with listening(Listen(path=path)):
        with pytest.raises(CannotListen) as refused:
            listen(Listen(path=path))

        assert str(refused.value) == f"unix:{path}: Address already in use"
        assert can_connect(socket.AF_UNIX, path)


def test_unix_socket_with_a_full_backlog_is_not_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(path)
        busy.listen(0)
        waiting.connect(path)

        with pytest.raises(CannotListen, match="Address already in use"):
            listen(Listen(path=path))


def test_regular_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("kept")

    with pytest.raises(CannotListen, match=r"notes: Address already in use$"):
        listen(Listen(path=str(path)))

    assert path.read_text() == "kept"


@pytest.mark.parametrize(
    ("name", "reason"), [("none/socket", "No such file or directory"), ("x" * 120, "AF_UNIX path too long")]
)
def test_error_names_an_unusable_path(name: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / name

    with pytest.raises(CannotListen, match=rf"^unix:{path}: {reason}$"):
        listen(Listen(path=str(path)))


def test_limit_of_open_files_is_raised_to_the_hard_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
    try:
        assert raise_file_limit() == hard
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_refused_limit_of_open_files_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(resource, "setrlimit", refuse)

    assert raise_file_limit() == soft
