"""The formats of the monitor: lines as go-hclog formats them, and frames as Nomad splits them.

The expected lines come from recordings, or from a real agent that logged a request with an unusual path.
"""

from __future__ import annotations

import json
from base64 import b64decode
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_sim.api import frames
from nomad_sim.model.agent_log import LEVELS, LogLine, Seconds, Value

AT = 1795490053.323
TIME = "2026-11-24T03:14:13.323Z"


def plain(*pairs: tuple[str, Value]) -> str:
    """Return the part of a plain line after the message."""
    text = frames.format_plain(LogLine(AT, "trace", "client", "said", pairs)).decode()
    return text.removeprefix(f"{TIME} [TRACE] client: said")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        pytest.param(
            LogLine(AT, "info", "client", "node registration complete"),
            f"{TIME} [INFO]  client: node registration complete\n",
            id="no pairs",
        ),
        pytest.param(
            LogLine(AT, "debug", "client", "updated allocations", (("index", 16), ("total", 3), ("pulled", 0))),
            f"{TIME} [DEBUG] client: updated allocations: index=16 total=3 pulled=0\n",
            id="numbers",
        ),
        pytest.param(
            LogLine(AT, "trace", "client", "next heartbeat", (("period", Seconds(10.485309397)),)),
            f"{TIME} [TRACE] client: next heartbeat: period=10.485309397s\n",
            id="a duration",
        ),
        pytest.param(
            LogLine(AT, "trace", "client.alloc_runner", "sending updated alloc", (("desired_status", ""),)),
            f'{TIME} [TRACE] client.alloc_runner: sending updated alloc: desired_status=""\n',
            id="an empty value",
        ),
        pytest.param(LogLine(AT, "error", "", "no module"), f"{TIME} [ERROR] no module\n", id="no module"),
        pytest.param(LogLine(AT, "warn", "nomad", ""), f"{TIME} [WARN]  nomad\n", id="no message"),
    ],
)
def test_plain_line_has_format_of_hclog(line: LogLine, text: str) -> None:
    assert frames.format_plain(line) == text.encode()


def test_levels_of_plain_lines_are_aligned() -> None:
    lines = [frames.format_plain(LogLine(AT, level, "nomad", "said")).decode() for level in LEVELS[:-1]]

    assert {line.index("nomad") for line in lines} == {len(TIME) + len(" [ERROR] ")}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("sleeper", "sleeper", id="a plain string"),
        pytest.param("/v1/agent/monitor?log_level=trace", "/v1/agent/monitor?log_level=trace", id="a path"),
        pytest.param("two parts", '"two parts"', id="a space"),
        pytest.param("a<&'\"0", '"a<&\'\\"0"', id="quotes"),
        pytest.param("127.0.0.1:4647,", '"127.0.0.1:4647,"', id="a comma needs quotes"),
        pytest.param("one+one", '"one+one"', id="a plus needs quotes"),
        pytest.param("back\\slash", "back\\slash", id="a backslash is left"),
        pytest.param("añb", '"añb"', id="a letter beyond ASCII"),
        pytest.param("a\tb", '"a\\tb"', id="a tab"),
        pytest.param("\x1b[0m", '"\\x1b[0m"', id="an escape sequence"),
        pytest.param("\x7f", '"\\u007f"', id="a delete"),
        pytest.param("\u200b", '"\\u200b"', id="a space without width"),
        pytest.param("\U000e0001", '"\\U000e0001"', id="a tag beyond the basic plane"),
        pytest.param(True, "true", id="yes"),
        pytest.param(False, "false", id="no"),
        pytest.param(-3, "-3", id="a negative number"),
        pytest.param(0.5, "0.5", id="a half"),
        pytest.param(2.0, "2", id="a whole number that came as a float"),
        pytest.param(Seconds(117.195e-6), '"117.195µs"', id="a duration with a micro sign"),
        pytest.param(Seconds(2.0), "2s", id="a whole duration"),
    ],
)
def test_value_is_quoted_as_by_hclog(value: Value, text: str) -> None:
    assert plain(("key", value)) == f": key={text}\n"


def test_multiline_value_is_indented_on_its_own_lines() -> None:
    results = 'Total changes: (place 0)\n\nStatus\t"successful"\n'

    assert plain(("job_id", "sleeper"), ("results", results)) == (
        ': job_id=sleeper\n  results=\n  | Total changes: (place 0)\n  | \n  | Status\\t"successful"\n  \n'
    )


def test_pair_after_multiline_value_is_on_its_last_line() -> None:
    assert plain(("text", "a\nb"), ("more", 1)) == ":\n  text=\n  | a\n  | b\n   more=1\n"


def test_json_line_equals_that_of_real_agent() -> None:
    pairs = (
        ("method", "GET"),
        ("path", "/v1/agent/monitor?log_level=trace&plain=true"),
        ("duration", Seconds(6.003282166)),
    )
    line = LogLine(1795490571.942420, "debug", "http", "request complete", pairs)

    assert frames.format_json(line).decode() == (
        '{"@level":"debug","@message":"request complete","@module":"http","@timestamp":"2026-11-24T03:22:51.942420Z",'
        '"duration":6003282166,"method":"GET","path":"/v1/agent/monitor?log_level=trace\\u0026plain=true"}\n'
    )


def test_json_line_escapes_html_and_control_characters() -> None:
    text = frames.format_json(LogLine(AT, "info", "", '<b> & \u2028\u2029 ñ \x01\n"\\')).decode()

    assert r'"@message":"\u003cb\u003e \u0026 \u2028\u2029 ñ \u0001\n\"\\"' in text


def test_json_line_without_module_omits_the_key() -> None:
    assert json.loads(frames.format_json(LogLine(AT, "info", "", "said"))) == {
        "@level": "info",
        "@message": "said",
        "@timestamp": "2026-11-24T03:14:13.323000Z",
    }


def test_json_values_keep_their_types() -> None:
    pairs = (("yes", True), ("count", 3), ("half", 0.5), ("whole", 2.0), ("text", "3"))
    text = frames.format_json(LogLine(AT, "info", "client", "said", pairs)).decode()

    assert text.endswith('"count":3,"half":0.5,"text":"3","whole":2,"yes":true}\n')


@given(message=st.text(), value=st.text() | st.integers() | st.booleans())
@settings(deadline=None)
def test_json_line_is_one_line_and_decodes_to_its_values(message: str, value: Value) -> None:
    text = frames.format_json(LogLine(AT, "info", "client", message, (("key", value),)))

    assert text.count(b"\n") == 1
    assert not set(b"<>&") & set(text)
    assert json.loads(text) | {"@message": message, "key": value} == json.loads(text)


@given(value=st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])))
@settings(deadline=None)
def test_value_without_line_feed_is_printable(value: str) -> None:
    text = plain(("key", value))

    assert text.removesuffix("\n").isprintable()


def test_dropped_lines_notice_has_no_time() -> None:
    assert frames.format_dropped(7) == b"[WARN] Monitor dropped 7 logs during monitor request\n"


def test_short_text_is_one_frame_without_offset() -> None:
    assert list(frames.encode_frames(b"said\n")) == [b'{"Data":"c2FpZAo=","FileEvent":"log"}']


def test_long_text_is_split_into_frames_with_offsets() -> None:
    first, second, third = frames.encode_frames(b"a" * 2048 + b"b")

    assert first.startswith(b'{"Data":"YWFh')
    assert first.endswith(b'","FileEvent":"log"}')
    assert second.endswith(b'","FileEvent":"log","Offset":1024}')
    assert third == b'{"Data":"Yg==","FileEvent":"log","Offset":2048}'


def test_full_last_frame_is_followed_by_frame_without_data() -> None:
    assert list(frames.encode_frames(b"a" * 1024))[1:] == [b'{"FileEvent":"log","Offset":1024}']


def test_empty_text_has_no_frame() -> None:
    assert list(frames.encode_frames(b"")) == []


def test_heartbeat_is_an_empty_object() -> None:
    assert json.loads(frames.HEARTBEAT) == {}


@given(data=st.binary(max_size=5000))
@settings(deadline=None)
def test_frames_contain_the_text_at_their_offsets(data: bytes) -> None:
    frames_sent = [json.loads(frame) for frame in frames.encode_frames(data)]
    chunks = [b64decode(frame.get("Data", "")) for frame in frames_sent]

    assert b"".join(chunks) == data
    assert all(len(chunk) <= 1024 for chunk in chunks)
    assert [frame.get("Offset", 0) for frame in frames_sent] == [
        offset for offset, _ in zip(count(0, 1024), frames_sent, strict=False)
    ]
