"""How the text of a setting becomes its value. Every reader raises ValueError with words that say what is wanted."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from nomad_exporter.nomad import durations
from nomad_exporter.nomad.agent import Address, Scheme, Secret
from nomad_exporter.serving.listen import Listen

_DEFAULT_PORTS = {"http": 80, "https": 443}


def duration(text: str) -> float:
    """Seconds, from ``15s``, ``500ms`` or ``1m30s``; never zero, for a cadence of zero would never rest."""
    seconds = durations.seconds(text)
    if not 0.01 <= seconds <= 86400:
        raise ValueError("must be from 10ms to 24h")
    return seconds


def count(text: str) -> int:
    """A whole number, at least one."""
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise ValueError("must be a whole number from 1 to 999999999")
    return int(text)


def path(text: str) -> Path:
    """A path; an empty one, which would be the current folder, is a mistake."""
    if not text or not text.isprintable():
        raise ValueError("must be a path")
    return Path(text)


def secret(text: str) -> Secret:
    return Secret(text)


def name(text: str) -> str:
    """A name for people and labels: one line of at most 200 characters."""
    if not text.isprintable() or len(text) > 200:
        raise ValueError("must be one printable line of at most 200 characters")
    return text


def one_of(words: Sequence[str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return read


def agent_url(text: str) -> tuple[Address, Secret | None]:
    """An agent's address, and the ``user:password`` in it, if any.

    As Nomad's own client has it: a path behind host and port is ignored, and the port is that of the scheme where none
    is given.
    """
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("must be printable ASCII without spaces")
    parts = _split(text)
    if parts.scheme == "unix":
        if not parts.path.startswith("/") or parts.netloc:
            raise ValueError("must be like unix:///path/to/api.sock")
        return Address("unix", path=parts.path), None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ValueError("must be like http://127.0.0.1:4646, https://host:4646 or unix:///path/to/api.sock")
    scheme: Scheme = "https" if parts.scheme == "https" else "http"
    return Address(scheme, parts.hostname, _port(parts) or _DEFAULT_PORTS[scheme]), _user_info(parts)


def masked(text: str) -> str:
    """``text`` as it may be shown: without the ``user:password@`` that an address can hold."""
    return re.sub(r"^(\w+://)?.*@", r"\1********@", text, flags=re.DOTALL)


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text)
    except ValueError:
        raise ValueError("not an address") from None


def _port(parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the port must be from 1 to 65535") from None
    if port == 0:
        raise ValueError("the port must be from 1 to 65535")
    return port


def _user_info(parts: SplitResult) -> Secret | None:
    if parts.username is None:
        return None
    return Secret(f"{unquote(parts.username)}:{unquote(parts.password or '')}")


def listen_address(text: str) -> Listen:
    """``:9441``, ``host:9441``, ``[::1]:9441`` or ``unix:/path``; port 0 lets the system choose."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path:
            raise ValueError("must be like unix:/run/nomad-exporter.sock")
        return Listen(path=path)
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535 or (":" in bare and bare == host):
        raise ValueError("must be like :9441, 127.0.0.1:9441, [::1]:9441 or unix:/path")
    return Listen(bare, int(port))
