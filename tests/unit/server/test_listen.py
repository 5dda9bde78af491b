"""Sockets to listen on: what is bound, what is replaced, and how a refusal is told."""

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


def reachable(family: socket.AddressFamily, address: tuple[str, int] | str) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as caller:
        caller.settimeout(5)
        return caller.connect_ex(address) == 0


@contextlib.contextmanager
def listening(address: Listen) -> Iterator[int]:
    """The port on which ``listen`` listens, for as long as the block lasts; 0 of a Unix socket."""
    with listen(address) as bound:
        name = bound.getsockname()
        yield 0 if isinstance(name, str) else name[1]


def test_a_host_is_listened_on_alone() -> None:
    with listen(Listen("127.0.0.1", 0)) as bound:
        host, port = bound.getsockname()

        assert host == "127.0.0.1"
        assert reachable(socket.AF_INET, ("127.0.0.1", port))


@needs_ipv6
def test_an_ipv6_host_is_listened_on() -> None:
    with listening(Listen("::1", 0)) as port:
        assert reachable(socket.AF_INET6, ("::1", port))


def test_a_name_is_resolved() -> None:
    with listen(Listen("localhost", 0)) as bound:
        assert bound.getsockname()[0] in {"127.0.0.1", "::1"}


def test_without_a_host_the_whole_machine_is_listened_on() -> None:
    with listening(Listen("", 0)) as port:
        assert reachable(socket.AF_INET, ("127.0.0.1", port))


@needs_ipv6
def test_without_a_host_both_families_are_listened_on() -> None:
    with listening(Listen("", 0)) as port:
        assert reachable(socket.AF_INET, ("127.0.0.1", port))
        assert reachable(socket.AF_INET6, ("::1", port))


def test_a_machine_without_ipv6_is_listened_on_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)

    with listening(Listen("", 0)) as port:
        assert reachable(socket.AF_INET, ("127.0.0.1", port))


def test_a_port_just_given_up_can_be_taken_again() -> None:
    with listen(Listen("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            first.accept()[0].close()

    with listening(Listen("127.0.0.1", port)) as again:
        assert again == port


def test_a_port_that_is_taken_is_named() -> None:
    with listening(Listen("127.0.0.1", 0)) as port, pytest.raises(CannotListen) as refused:
        listen(Listen("127.0.0.1", port))

    assert str(refused.value).startswith(f"127.0.0.1:{port}: Address already in use")


def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(CannotListen, match=r"^192\.0\.2\.1:1: Cannot assign requested address"):
        listen(Listen("192.0.2.1", 1))


def test_a_name_that_cannot_be_resolved_is_named() -> None:
    with pytest.raises(CannotListen, match=r"^\[::nowhere\]:9441: "):
        listen(Listen("::nowhere", 9441))


def test_a_unix_socket_is_listened_on(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")

    with listening(Listen(path=path)):
        assert reachable(socket.AF_UNIX, path)


def test_a_unix_socket_that_a_crash_left_behind_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with listening(Listen(path=path)):
        pass
    assert Path(path).is_socket()

    with listening(Listen(path=path)):
        assert reachable(socket.AF_UNIX, path)


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (Listen("", 9441), ":9441"),
        (Listen("127.0.0.1", 9441), "127.0.0.1:9441"),
        (Listen("::1", 9441), "[::1]:9441"),
        (Listen(path="/run/x.sock"), "unix:/run/x.sock"),
    ],
)
def test_where_to_listen_is_written_as_the_setting_is(where: Listen, text: str) -> None:
    assert str(where) == text


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_a_name_that_can_have_no_address_is_named(host: str) -> None:
    with pytest.raises(CannotListen, match=rf"^{re.escape(host)}:9441: "):
        listen(Listen(host, 9441))


def test_a_unix_socket_that_somebody_listens_on_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")

    with listening(Listen(path=path)):
        with pytest.raises(CannotListen) as refused:
            listen(Listen(path=path))

        assert str(refused.value) == f"unix:{path}: Address already in use"
        assert reachable(socket.AF_UNIX, path)


def test_a_unix_socket_whose_owner_is_busy_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(path)
        busy.listen(0)
        waiting.connect(path)

        with pytest.raises(CannotListen, match="Address already in use"):
            listen(Listen(path=path))


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("kept")

    with pytest.raises(CannotListen, match=r"notes: Address already in use$"):
        listen(Listen(path=str(path)))

    assert path.read_text() == "kept"


@pytest.mark.parametrize(
    ("name", "reason"), [("none/socket", "No such file or directory"), ("x" * 120, "AF_UNIX path too long")]
)
def test_a_path_where_no_socket_can_be_is_named(name: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / name

    with pytest.raises(CannotListen, match=rf"^unix:{path}: {reason}$"):
        listen(Listen(path=str(path)))


def test_as_many_files_may_be_open_as_the_system_allows() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
    try:
        raise_file_limit()

        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
