"""Parsers of the texts of settings. Every parser raises ValueError with what the value must be."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from nomad_exporter.nomad import durations
from nomad_exporter.nomad.agent import Address, Scheme, Secret
from nomad_exporter.server.listen import Listen

_DEFAULT_PORTS = {"http": 80, "https": 443}
_AGENT_URL = "must be a URL such as http://127.0.0.1:4646, https://host:4646 or unix:///path/to/api.sock"
_PLACEHOLDER = re.compile(r"\$\{\w+[^}]*\}|\$\(\w+\)|\{\{.*?\}\}")
"""``${NAME}`` of shells, ``$(NAME)`` of Kubernetes, and the templates of Nomad, Consul and Helm."""

_HOST_NAME = re.compile(r"[A-Za-z0-9_.-]+")


def refuse_placeholder(text: str) -> None:
    """Raise ValueError if ``text`` has a variable or a template that another program should have replaced."""
    if _PLACEHOLDER.search(text):
        raise ValueError("must not contain a variable or template, which is not replaced here; use the value itself")


def duration(text: str) -> float:
    """Return the seconds of a duration such as ``15s``, ``500ms`` or ``1m30s``."""
    try:
        seconds = durations.seconds(text)
    except ValueError:
        raise ValueError("must be a duration such as 15s, 500ms or 1m30s") from None
    # An interval of zero would poll without a pause.
    if not 0.01 <= seconds <= 86400:
        raise ValueError("must be from 10ms to 24h")
    return seconds


def count(text: str) -> int:
    """Return a whole number, at least 1."""
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise ValueError("must be a whole number from 1 to 999999999")
    return int(text)


def path(text: str) -> Path:
    """Return a path, which must not be empty."""
    # An empty path would be the current directory.
    if not text or not text.isprintable():
        raise ValueError("must be a path")
    return Path(text)


def secret(text: str) -> Secret:
    return Secret(text)


def token(text: str) -> Secret:
    """Return a token without white space around it, as in a token file."""
    stripped = text.strip()
    if not (stripped.isascii() and stripped.isprintable()):
        raise ValueError("must be one line of printable ASCII")
    return Secret(stripped)


def name(text: str) -> str:
    """Return a value for a label: one printable line of at most 200 characters."""
    if not text.isprintable() or len(text) > 200:
        raise ValueError("must be one printable line of at most 200 characters")
    return text


def one_of(choices: Sequence[str]) -> Callable[[str], str]:
    """Return a parser that accepts only ``choices``, in lower or upper case, and returns them in lower case."""

    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text.lower()

    return parse


class AgentUrl(NamedTuple):
    """The address of an agent in a URL, the ``user:password`` in the URL, and whether the URL has a port."""

    address: Address
    user_info: Secret | None = None
    has_port: bool = True


def agent_url(text: str) -> AgentUrl:
    """Return the address in a URL, and the ``user:password`` in the URL, if any.

    As in Nomad's own client, the default port is that of the scheme.
    """
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("must be printable ASCII without spaces")
    parts = _split(text)
    if parts.scheme == "unix":
        return AgentUrl(_socket_address(parts))
    if parts.scheme not in _DEFAULT_PORTS or not parts.netloc:
        raise ValueError(_AGENT_URL)
    _refuse_rest(parts)
    scheme: Scheme = "https" if parts.scheme == "https" else "http"
    host, port = _host(parts), _port(parts)
    return AgentUrl(Address(scheme, host, port or _DEFAULT_PORTS[scheme]), _user_info(parts), port is not None)


def _socket_address(parts: SplitResult) -> Address:
    if not parts.path.startswith("/") or parts.netloc or parts.query or parts.fragment:
        raise ValueError("must be a URL such as unix:///path/to/api.sock")
    return Address("unix", path=parts.path)


def _refuse_rest(parts: SplitResult) -> None:
    """Refuse what follows the port. Nomad serves its API at the root, and a dropped prefix would poll another path."""
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must end after the port: Nomad serves its API at the root, not below a path")


def _host(parts: SplitResult) -> str:
    """Return the host, decoded. Refuse an IPv6 address without brackets: its end would be read as a port."""
    if parts.netloc.rpartition("@")[2].count(":") > 1 and "[" not in parts.netloc:
        raise ValueError("must have an IPv6 address in brackets, such as http://[2001:db8::1]:4646")
    host = parts.hostname or ""
    # A zone is in a URL as %25eth0 (RFC 6874), and everywhere else as %eth0.
    host = host.replace("%25", "%", 1) if ":" in host else unquote(host)
    if not (_is_ip_address(host) or _HOST_NAME.fullmatch(host)):
        raise ValueError(_AGENT_URL)
    return host


def _is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def mask_password(text: str) -> str:
    """Return ``text`` without the ``user:password`` that a URL can contain."""
    return re.sub(r"^(\w+://)?.*@", r"\1********@", text, flags=re.DOTALL)


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text)
    except ValueError:
        raise ValueError(_AGENT_URL) from None


def _port(parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("must have a port from 1 to 65535")
    return port


def _user_info(parts: SplitResult) -> Secret | None:
    if parts.username is None:
        return None
    return Secret(f"{unquote(parts.username)}:{unquote(parts.password or '')}")


def listen_address(text: str) -> Listen:
    """Return the address in ``:9441``, ``host:9441``, ``[::1]:9441`` or ``unix:/path``; port 0 is any free port."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path:
            raise ValueError("must be an address such as unix:/run/nomad-exporter.sock")
        return Listen(path=path)
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535 or (":" in bare and bare == host):
        raise ValueError("must be an address such as :9441, 127.0.0.1:9441, [::1]:9441 or unix:/path")
    return Listen(bare, int(port))
