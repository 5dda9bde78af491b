"""The formats of ``GET /v1/agent/monitor``: the lines of a log, and the frames that carry them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator

from nomad_sim import go
from nomad_sim.model.agent_log import LogLine, Seconds, Value

FRAME_BYTES = 1024
"""Bytes of data in a frame, at most."""

HEARTBEAT = b"{}"
"""The frame that says only that the agent is there."""

_SHORT_ESCAPES = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}

# Go's JSON can stand in HTML and in JavaScript; these characters can only be inside of a string.
_HTML_ESCAPES = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})


def format_plain(line: LogLine) -> bytes:
    """As go-hclog writes it: ``2026-11-24T03:14:13.323Z [INFO]  client: registered: key=value``."""
    level = f"[{line.level.upper()}]"
    text = ": ".join(filter(None, (line.module, line.message)))
    pairs = "".join(_format_pair(key, _format_value(value)) for key, value in line.pairs)
    return f"{go.log_time(line.at)} {level:7} {text}{':' if pairs else ''}{pairs}\n".encode()


def format_json(line: LogLine) -> bytes:
    """The same as an object on one line, its keys in order; durations are nanoseconds."""
    head = {"@level": line.level, "@message": line.message, "@timestamp": go.log_time_json(line.at)}
    module = {"@module": line.module} if line.module else {}
    fields = {**head, **module, **{key: _convert_number(value) for key, value in line.pairs}}
    text = json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return f"{text.translate(_HTML_ESCAPES)}\n".encode()


def format_dropped(count: int) -> bytes:
    """What is said, also among lines of JSON, where ``count`` lines were gone before they could be sent."""
    return f"[WARN] Monitor dropped {count} logs during monitor request\n".encode()


def encode_frames(data: bytes) -> Iterator[bytes]:
    """The frames of what is sent at one time: each has its offset in ``data`` where that is not 0.

    Where the data fills its last frame, a frame without data follows.
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
    """Go has no ``.0`` in a number that is whole."""
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
    shown = "".join(char if char.isprintable() else _escape_code(char) for char in text)
    return shown.replace('"', r"\"") if quotes else shown


def _escape_code(char: str) -> str:
    number = ord(char)
    form = r"\x{:02x}" if number < 0x20 else r"\u{:04x}" if number < 0x10000 else r"\U{:08x}"
    return _SHORT_ESCAPES.get(char) or form.format(number)
