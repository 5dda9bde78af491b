"""Parsers of settings: accepted texts, their values, and refused texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from nomad_exporter.config import parsers
from nomad_exporter.nomad.agent import Address
from nomad_exporter.server.listen import Listen


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15s", 15.0), ("500ms", 0.5), ("1m30s", 90.0), ("1.5s", 1.5), ("10ms", 0.01), ("24h", 86400.0)],
)
def test_duration_has_go_syntax(text: str, seconds: float) -> None:
    assert parsers.duration(text) == seconds


@pytest.mark.parametrize("text", ["15", "s", "", " 15s", "15 s", "15d", "1h-1m", "half an hour"])
def test_invalid_duration_is_refused_with_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be a duration such as 15s, "):
        parsers.duration(text)


@pytest.mark.parametrize("text", ["0", "0s", "9ms", "-15s", "24h1ms", "2562047h47m16.854775807s"])
def test_duration_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="from 10ms to 24h"):
        parsers.duration(text)


def test_path_is_kept_unchanged() -> None:
    assert parsers.path("/run/secrets/nomad token") == Path("/run/secrets/nomad token")


def test_secret_is_hidden_in_repr() -> None:
    secret = parsers.secret("hidden-text")

    assert secret.reveal() == "hidden-text"
    assert "hidden-text" not in f"{secret} {secret!r}"


@pytest.mark.parametrize(
    "text", ["${TOKEN}", "http://${HOST}:4646", "${A:-b}", "$(HOST)", '{{ env "X" }}', "{{.Values.x}}"]
)
def test_placeholder_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must not contain a variable or template"):
        parsers.refuse_placeholder(text)


@pytest.mark.parametrize("text", ["", "$", "$5", "pa$$word", "a{b}", "${}", "$(", "{{"])
def test_text_without_placeholder_is_accepted(text: str) -> None:
    parsers.refuse_placeholder(text)


@pytest.mark.parametrize("text", ["b4d", " b4d\n", "b4d\r\n"])
def test_token_is_stripped_as_in_a_token_file(text: str) -> None:
    assert parsers.token(text).reveal() == "b4d"


@pytest.mark.parametrize("text", ["two\nlines", "Größe", "a\0b"])
def test_token_that_no_header_can_have_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be one line of printable ASCII$"):
        parsers.token(text)


@pytest.mark.parametrize("text", ["n1", "server.global.nomad", "Größe 1", "x" * 200])
def test_name_is_any_printable_line(text: str) -> None:
    assert parsers.name(text) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("two\nlines", id="two-lines"),
        pytest.param("a\x1b[31m", id="terminal-escape"),
        pytest.param("\udcff", id="undecodable-byte"),
        pytest.param("x" * 201, id="too-long"),
    ],
)
def test_unprintable_or_long_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="one printable line"):
        parsers.name(text)


def test_one_of_accepts_a_choice() -> None:
    assert parsers.one_of(("logfmt", "json"))("json") == "json"


@pytest.mark.parametrize("text", ["JSON", "Json"])
def test_one_of_ignores_case(text: str) -> None:
    assert parsers.one_of(("logfmt", "json"))(text) == "json"


@pytest.mark.parametrize("text", ["", "jsonl", "xml"])
def test_one_of_refuses_others_and_lists_choices(text: str) -> None:
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
        pytest.param("https://nomad:4646/", Address("https", "nomad", 4646), id="slash"),
        pytest.param("http://no%6dad:4646", Address("http", "nomad", 4646), id="percent-encoded"),
        pytest.param("http://[fe80::1%25eth0]:4646", Address("http", "fe80::1%eth0", 4646), id="ipv6-zone"),
        pytest.param("http://[fe80::1%251]:4646", Address("http", "fe80::1%1", 4646), id="ipv6-numeric-zone"),
        pytest.param("http://[fe80::1%eth0]:4646", Address("http", "fe80::1%eth0", 4646), id="ipv6-zone-not-encoded"),
        pytest.param("unix:///secrets/api.sock", Address("unix", path="/secrets/api.sock"), id="unix"),
        pytest.param("unix:/secrets/api.sock", Address("unix", path="/secrets/api.sock"), id="unix-short"),
    ],
)
def test_agent_url_is_parsed(text: str, address: Address) -> None:
    url = parsers.agent_url(text)

    assert (url.address, url.user_info) == (address, None)


@pytest.mark.parametrize(
    ("text", "has_port"),
    [("http://nomad", False), ("https://nomad/", False), ("http://nomad:80", True), ("unix:///api.sock", True)],
)
def test_agent_url_notes_a_missing_port(text: str, has_port: bool) -> None:
    assert parsers.agent_url(text).has_port is has_port


@pytest.mark.parametrize(
    ("text", "user_info"),
    [
        pytest.param("https://user:hidden@nomad:4646", "user:hidden", id="user-and-password"),
        pytest.param("https://user@nomad:4646", "user:", id="user-alone"),
        pytest.param("https://us%40er:p%3Aw%2F@nomad:4646", "us@er:p:w/", id="percent-encoded"),
    ],
)
def test_agent_url_may_hold_user_and_password(text: str, user_info: str) -> None:
    address, secret, _ = parsers.agent_url(text)

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
def test_mask_password_hides_user_and_password(text: str, shown: str) -> None:
    assert parsers.mask_password(text) == shown


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("", "must be a URL such as http://127.0.0.1:4646", id="empty"),
        pytest.param("127.0.0.1:4646", "must be a URL such as http://127.0.0.1:4646", id="without-scheme"),
        pytest.param("nomad", "must be a URL such as http://127.0.0.1:4646", id="host-alone"),
        pytest.param("ftp://nomad:4646", "must be a URL such as http://127.0.0.1:4646", id="other-scheme"),
        pytest.param("http://:4646", "must be a URL such as http://127.0.0.1:4646", id="without-host"),
        pytest.param("unix://api.sock", "must be a URL such as unix:///path/to/api.sock", id="unix-with-a-host"),
        pytest.param("unix:api.sock", "must be a URL such as unix:///path/to/api.sock", id="unix-relative"),
        pytest.param("http://nomad:0", "must have a port from 1 to 65535", id="port-0"),
        pytest.param("http://nomad:65536", "must have a port from 1 to 65535", id="port-too-high"),
        pytest.param("http://nomad:http", "must have a port from 1 to 65535", id="port-not-a-number"),
        pytest.param("http://nomad:4646/nomad/", "must end after the port", id="path"),
        pytest.param("http://nomad:4646/?x=1", "must end after the port", id="query"),
        pytest.param("http://nomad:4646#y", "must end after the port", id="fragment"),
        pytest.param("unix:///api.sock?x=1", "must be a URL such as unix:///path/to/api.sock", id="unix-with-a-query"),
        pytest.param(
            "http://2001:db8::1:4646",
            r"must have an IPv6 address in brackets, such as http://\[2001:db8::1\]:4646",
            id="ipv6-without-brackets",
        ),
        pytest.param("http://a%2fb:4646", "must be a URL such as http://127.0.0.1:4646", id="encoded-slash-in-host"),
        pytest.param("http://[::1:4646", "must be a URL such as http://127.0.0.1:4646", id="open-bracket"),
    ],
)
def test_invalid_agent_url_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{problem}"):
        parsers.agent_url(text)


@pytest.mark.parametrize(
    ("text", "address"),
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
def test_listen_address_is_parsed_and_formatted_alike(text: str, address: Listen) -> None:
    assert parsers.listen_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    ["", "9441", "127.0.0.1", "127.0.0.1:", ":65536", ":-1", ":http", ":９４４１", "::1:9441", "[::1]", "[::1:9441"],
)
def test_invalid_listen_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be an address such as :9441, "):
        parsers.listen_address(text)


def test_unix_listen_address_requires_path() -> None:
    with pytest.raises(ValueError, match="must be an address such as unix:/run"):
        parsers.listen_address("unix:")


def test_empty_path_is_refused() -> None:
    with pytest.raises(ValueError, match="must be a path"):
        parsers.path("")


@pytest.mark.parametrize("text", ["http://bad host:4646", "http://\udcff:4646", "http://a\x7fb", "unix:///a\udcffb"])
def test_agent_url_with_special_characters_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be (a URL such as http://|printable ASCII)"):
        parsers.agent_url(text)


@pytest.mark.parametrize("text", ["a\0b", "a\nb", "\udcff"])
def test_path_with_control_characters_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a path"):
        parsers.path(text)


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("3", 3), ("10", 10), ("999999999", 999999999)])
def test_count_is_a_whole_number(text: str, number: int) -> None:
    assert parsers.count(text) == number


@pytest.mark.parametrize("text", ["", "0", "-1", "+1", "1.5", "03", "1e3", " 1", "1\n", "1000000000", "x", "٣"])
def test_invalid_count_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a whole number from 1 to 999999999"):
        parsers.count(text)
