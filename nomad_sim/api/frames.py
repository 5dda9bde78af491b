"""The formats of ``GET /v1/agent/monitor``: log lines as text or JSON, and the frames around them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator

from nomad_sim import go
from nomad_sim.model.agent_log import LogLine, Seconds, Value

FRAME_BYTES = 1024
"""Maximum bytes of data in one frame, before base64."""

HEARTBEAT = b"{}"
"""The frame that keeps an idle stream open."""

_SHORT_ESCAPES = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}

# Go escapes these characters in JSON, for use in HTML and JavaScript. They occur in strings only.
_HTML_ESCAPES = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})


def format_plain(line: LogLine) -> bytes:
    """Format a line as go-hclog does: ``2026-11-24T03:14:13.323Z [INFO]  client: registered: key=value``."""
    level = f"[{line.level.upper()}]"
    text = ": ".join(filter(None, (line.module, line.message)))
    pairs = "".join(_format_pair(key, _format_value(value)) for key, value in line.pairs)
    return f"{go.log_time(line.at)} {level:7} {text}{':' if pairs else ''}{pairs}\n".encode()


def format_json(line: LogLine) -> bytes:
    """Format a line as a JSON object with sorted keys; durations are in nanoseconds."""
    head = {"@level": line.level, "@message": line.message, "@timestamp": go.log_time_json(line.at)}
    module = {"@module": line.module} if line.module else {}
    fields = {**head, **module, **{key: _convert_number(value) for key, value in line.pairs}}
    text = json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return f"{text.translate(_HTML_ESCAPES)}\n".encode()


def format_dropped(count: int) -> bytes:
    """Return the plain line, also in JSON streams, that reports ``count`` dropped lines."""
    return f"[WARN] Monitor dropped {count} logs during monitor request\n".encode()


def encode_frames(data: bytes) -> Iterator[bytes]:
    """Yield the frames of one write; every frame but the first has its offset in ``data``.

    If the data fills its last frame completely, a frame without data follows, as in Nomad.
    """
    for offset in range(0, len(data) + 1 if data else 0, FRAME_BYTES):
        chunk = b64encode(data[offset : offset + FRAME_BYTES]).decode()
        fields = {"Data": chunk, "FileEvent": "log", "Offset": offset}
        yield json.dumps({key: value for key, value in fields.items() if value}, separators=(",", ":")).encode()


def _format_value(value: Value) -> str:
    if isinstance(value, Seconds):
        return go.duration(value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(_convert_number(value))


def _convert_number(value: Value) -> Value:
    """Return durations as nanoseconds, and integral floats without ``.0``, as Go formats them."""
    if isinstance(value, Seconds):
        return go.nanoseconds(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _format_pair(key: str, text: str) -> str:
    if "\n" in text:
        lines = text.removesuffix("\n").split("\n")
        return f"\n  {key}=\n" + "".join(f"  | {_escape(line)}\n" for line in lines) + "  "
    is_bare = text and all("-" <= char <= "~" for char in text)
    return f" {key}={text}" if is_bare else f' {key}="{_escape(text, quotes=True)}"'


def _escape(text: str, quotes: bool = False) -> str:
    escaped = "".join(char if char.isprintable() else _escape_code(char) for char in text)
    return escaped.replace('"', r"\"") if quotes else escaped


def _escape_code(char: str) -> str:
    code = ord(char)
    escape = r"\x{:02x}" if code < 0x20 else r"\u{:04x}" if code < 0x10000 else r"\U{:08x}"
    return _SHORT_ESCAPES.get(char) or escape.format(code)
