"""How the text of a setting becomes its value, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from nomad_exporter.config import parsers
from nomad_exporter.nomad.agent import Address
from nomad_exporter.serving.listen import Listen


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15s", 15.0), ("500ms", 0.5), ("1m30s", 90.0), ("1.5s", 1.5), ("10ms", 0.01), ("24h", 86400.0)],
)
def test_a_duration_is_read_as_go_writes_it(text: str, seconds: float) -> None:
    assert parsers.duration(text) == seconds


@pytest.mark.parametrize("text", ["15", "s", "", " 15s", "15 s", "15d", "1h-1m", "half an hour"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 15s"):
        parsers.duration(text)


@pytest.mark.parametrize("text", ["0", "0s", "9ms", "-15s", "24h1ms", "2562047h47m16.854775807s"])
def test_a_duration_that_no_cadence_can_have_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="from 10ms to 24h"):
        parsers.duration(text)


def test_a_path_is_taken_as_it_is() -> None:
    assert parsers.path("/run/secrets/nomad token") == Path("/run/secrets/nomad token")


def test_a_secret_is_kept_but_not_shown() -> None:
    secret = parsers.secret("hidden-text")

    assert secret.reveal() == "hidden-text"
    assert "hidden-text" not in f"{secret} {secret!r}"


@pytest.mark.parametrize("text", ["n1", "server.global.nomad", "Größe 1", "x" * 200])
def test_a_name_may_be_any_printable_line(text: str) -> None:
    assert parsers.name(text) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("two\nlines", id="two-lines"),
        pytest.param("a\x1b[31m", id="terminal-escape"),
        pytest.param("\udcff", id="no-text-of-the-locale"),
        pytest.param("x" * 201, id="too-long"),
    ],
)
def test_a_name_that_would_break_a_line_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="one printable line"):
        parsers.name(text)


def test_one_of_several_words_is_taken_as_it_is() -> None:
    assert parsers.one_of(("logfmt", "json"))("json") == "json"


@pytest.mark.parametrize("text", ["", "JSON", "xml"])
def test_any_other_word_is_refused_with_the_words_that_are_known(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be one of logfmt, json$"):
        parsers.one_of(("logfmt", "json"))(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        pytest.param("http://127.0.0.1:4646", Address("http", "127.0.0.1", 4646), id="http"),
        pytest.param("https://nomad.example.org:4646", Address("https", "nomad.example.org", 4646), id="https"),
        pytest.param("HTTPS://Nomad.Example.org:4646", Address("https", "nomad.example.org", 4646), id="capitals"),
        pytest.param("http://[::1]:4646", Address("http", "::1", 4646), id="ipv6"),
        pytest.param("http://nomad", Address("http", "nomad", 80), id="http-port-of-the-scheme"),
        pytest.param("https://nomad", Address("https", "nomad", 443), id="https-port-of-the-scheme"),
        pytest.param("https://nomad:4646/ui/jobs?x=1#y", Address("https", "nomad", 4646), id="path-is-ignored"),
        pytest.param("unix:///secrets/api.sock", Address("unix", path="/secrets/api.sock"), id="unix"),
        pytest.param("unix:/secrets/api.sock", Address("unix", path="/secrets/api.sock"), id="unix-short"),
    ],
)
def test_an_agent_is_found_by_its_url(text: str, address: Address) -> None:
    assert parsers.agent_url(text) == (address, None)


@pytest.mark.parametrize(
    ("text", "user_info"),
    [
        pytest.param("https://user:hidden@nomad:4646", "user:hidden", id="user-and-password"),
        pytest.param("https://user@nomad:4646", "user:", id="user-alone"),
        pytest.param("https://us%40er:p%3Aw%2F@nomad:4646", "us@er:p:w/", id="percent-encoded"),
    ],
)
def test_the_user_and_password_of_a_url_are_taken_out_of_the_address(text: str, user_info: str) -> None:
    address, secret = parsers.agent_url(text)

    assert address == Address("https", "nomad", 4646)
    assert secret
    assert secret.reveal() == user_info


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("http://user:hidden@nomad:99999", "http://********@nomad:99999", id="user-and-password"),
        pytest.param("http://user:hi@dden@nomad:99999", "http://********@nomad:99999", id="an-at-in-the-password"),
        pytest.param("user:hidden@nomad:4646", "********@nomad:4646", id="without-scheme"),
        pytest.param("http://nomad:99999", "http://nomad:99999", id="without-password"),
        pytest.param("soon", "soon", id="no-address"),
    ],
)
def test_a_wrong_value_is_shown_without_the_password_in_it(text: str, shown: str) -> None:
    assert parsers.masked(text) == shown


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param("", "must be like http://127.0.0.1:4646", id="empty"),
        pytest.param("127.0.0.1:4646", "must be like http://127.0.0.1:4646", id="without-scheme"),
        pytest.param("nomad", "must be like http://127.0.0.1:4646", id="host-alone"),
        pytest.param("ftp://nomad:4646", "must be like http://127.0.0.1:4646", id="other-scheme"),
        pytest.param("http://:4646", "must be like http://127.0.0.1:4646", id="without-host"),
        pytest.param("unix://api.sock", "must be like unix:///path/to/api.sock", id="unix-with-a-host"),
        pytest.param("unix:api.sock", "must be like unix:///path/to/api.sock", id="unix-relative"),
        pytest.param("http://nomad:0", "the port must be from 1 to 65535", id="port-0"),
        pytest.param("http://nomad:65536", "the port must be from 1 to 65535", id="port-too-high"),
        pytest.param("http://nomad:http", "the port must be from 1 to 65535", id="port-no-number"),
        pytest.param("http://[::1:4646", "not an address", id="open-bracket"),
    ],
)
def test_what_is_no_url_of_an_agent_is_refused(text: str, wanted: str) -> None:
    with pytest.raises(ValueError, match=f"^{wanted}"):
        parsers.agent_url(text)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        pytest.param(":9441", Listen("", 9441), id="all-addresses"),
        pytest.param("127.0.0.1:9441", Listen("127.0.0.1", 9441), id="ipv4"),
        pytest.param("localhost:9441", Listen("localhost", 9441), id="name"),
        pytest.param("[::1]:9441", Listen("::1", 9441), id="ipv6"),
        pytest.param(":0", Listen("", 0), id="any-port"),
        pytest.param(":65535", Listen("", 65535), id="last-port"),
        pytest.param("unix:/run/nomad-exporter.sock", Listen(path="/run/nomad-exporter.sock"), id="unix"),
    ],
)
def test_where_to_listen_is_read_and_written_alike(text: str, where: Listen) -> None:
    assert parsers.listen_address(text) == where
    assert str(where) == text


@pytest.mark.parametrize(
    "text",
    ["", "9441", "127.0.0.1", "127.0.0.1:", ":65536", ":-1", ":http", ":９４４１", "::1:9441", "[::1]", "[::1:9441"],
)
def test_where_nobody_can_listen_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be like :9441, "):
        parsers.listen_address(text)


def test_a_unix_socket_without_a_path_is_refused() -> None:
    with pytest.raises(ValueError, match="must be like unix:/run"):
        parsers.listen_address("unix:")


def test_an_empty_path_is_refused() -> None:
    with pytest.raises(ValueError, match="must be a path"):
        parsers.path("")


@pytest.mark.parametrize("text", ["http://bad host:4646", "http://\udcff:4646", "http://a\x7fb", "unix:///a\udcffb"])
def test_a_host_of_no_letters_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be (like http://|printable ASCII)"):
        parsers.agent_url(text)


@pytest.mark.parametrize("text", ["a\0b", "a\nb", "\udcff"])
def test_a_path_that_no_system_has_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a path"):
        parsers.path(text)


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("3", 3), ("10", 10), ("999999999", 999999999)])
def test_a_count_is_a_whole_number(text: str, number: int) -> None:
    assert parsers.count(text) == number


@pytest.mark.parametrize("text", ["", "0", "-1", "+1", "1.5", "03", "1e3", " 1", "1\n", "1000000000", "x", "٣"])
def test_what_counts_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a whole number from 1 to 999999999"):
        parsers.count(text)
