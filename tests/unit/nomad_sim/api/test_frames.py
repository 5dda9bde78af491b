"""The monitor's formats: lines as go-hclog writes them, and frames as Nomad cuts them.

The lines are from recordings of real agents, or were written by one that was asked for an odd path.
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
    """What follows the message in a plain line."""
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
def test_a_plain_line_is_as_hclog_writes_it(line: LogLine, text: str) -> None:
    assert frames.format_plain(line) == text.encode()


def test_the_levels_of_plain_lines_stand_in_a_column() -> None:
    lines = [frames.format_plain(LogLine(AT, level, "nomad", "said")).decode() for level in LEVELS[:-1]]

    assert {line.index("nomad") for line in lines} == {len(TIME) + len(" [ERROR] ")}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("sleeper", "sleeper", id="a word"),
        pytest.param("/v1/agent/monitor?log_level=trace", "/v1/agent/monitor?log_level=trace", id="a path"),
        pytest.param("two words", '"two words"', id="a space"),
        pytest.param("a<&'\"0", '"a<&\'\\"0"', id="quotes"),
        pytest.param("127.0.0.1:4647,", '"127.0.0.1:4647,"', id="a comma is below the characters that stand bare"),
        pytest.param("one+one", '"one+one"', id="and so is a plus"),
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
def test_a_value_is_quoted_where_hclog_quotes_it(value: Value, text: str) -> None:
    assert plain(("key", value)) == f": key={text}\n"


def test_a_value_of_many_lines_has_lines_of_its_own() -> None:
    results = 'Total changes: (place 0)\n\nStatus\t"successful"\n'

    assert plain(("job_id", "sleeper"), ("results", results)) == (
        ': job_id=sleeper\n  results=\n  | Total changes: (place 0)\n  | \n  | Status\\t"successful"\n  \n'
    )


def test_a_pair_after_a_value_of_many_lines_follows_on_the_last_of_them() -> None:
    assert plain(("text", "a\nb"), ("more", 1)) == ":\n  text=\n  | a\n  | b\n   more=1\n"


def test_a_json_line_is_as_a_real_agent_wrote_it() -> None:
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


def test_a_json_line_escapes_what_could_harm_a_page_and_leaves_other_letters() -> None:
    text = frames.format_json(LogLine(AT, "info", "", '<b> & \u2028\u2029 ñ \x01\n"\\')).decode()

    assert r'"@message":"\u003cb\u003e \u0026 \u2028\u2029 ñ \u0001\n\"\\"' in text


def test_a_json_line_of_no_module_has_none() -> None:
    assert json.loads(frames.format_json(LogLine(AT, "info", "", "said"))) == {
        "@level": "info",
        "@message": "said",
        "@timestamp": "2026-11-24T03:14:13.323000Z",
    }


def test_values_in_json_keep_their_types() -> None:
    pairs = (("yes", True), ("count", 3), ("half", 0.5), ("whole", 2.0), ("text", "3"))
    text = frames.format_json(LogLine(AT, "info", "client", "said", pairs)).decode()

    assert text.endswith('"count":3,"half":0.5,"text":"3","whole":2,"yes":true}\n')


@given(message=st.text(), value=st.text() | st.integers() | st.booleans())
@settings(deadline=None)
def test_a_json_line_is_one_line_that_reads_back(message: str, value: Value) -> None:
    text = frames.format_json(LogLine(AT, "info", "client", message, (("key", value),)))

    assert text.count(b"\n") == 1
    assert not set(b"<>&") & set(text)
    assert json.loads(text) | {"@message": message, "key": value} == json.loads(text)


@given(value=st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])))
@settings(deadline=None)
def test_a_value_without_a_line_feed_leaves_the_line_one_line_that_prints(value: str) -> None:
    text = plain(("key", value))

    assert text.removesuffix("\n").isprintable()


def test_the_notice_of_what_was_dropped_has_no_time() -> None:
    assert frames.format_dropped(7) == b"[WARN] Monitor dropped 7 logs during monitor request\n"


def test_a_short_text_is_one_frame_without_an_offset() -> None:
    assert list(frames.encode_frames(b"said\n")) == [b'{"Data":"c2FpZAo=","FileEvent":"log"}']


def test_a_long_text_is_cut_into_frames_that_tell_their_offsets_last() -> None:
    first, second, third = frames.encode_frames(b"a" * 2048 + b"b")

    assert first.startswith(b'{"Data":"YWFh')
    assert first.endswith(b'","FileEvent":"log"}')
    assert second.endswith(b'","FileEvent":"log","Offset":1024}')
    assert third == b'{"Data":"Yg==","FileEvent":"log","Offset":2048}'


def test_a_text_that_just_fills_its_frame_is_followed_by_a_frame_without_data() -> None:
    assert list(frames.encode_frames(b"a" * 1024))[1:] == [b'{"FileEvent":"log","Offset":1024}']


def test_nothing_needs_no_frame() -> None:
    assert list(frames.encode_frames(b"")) == []


def test_a_heartbeat_is_an_empty_object() -> None:
    assert json.loads(frames.HEARTBEAT) == {}


@given(data=st.binary(max_size=5000))
@settings(deadline=None)
def test_the_data_of_all_frames_is_the_text_and_each_begins_at_its_offset(data: bytes) -> None:
    partitioned = [json.loads(frame) for frame in frames.encode_frames(data)]
    parts = [b64decode(frame.get("Data", "")) for frame in partitioned]

    assert b"".join(parts) == data
    assert all(len(part) <= 1024 for part in parts)
    assert [frame.get("Offset", 0) for frame in partitioned] == [
        offset for offset, _ in zip(count(0, 1024), partitioned, strict=False)
    ]
