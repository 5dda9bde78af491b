"""Profiles: the file says what the value says, read by the rules of protobuf alone."""

from __future__ import annotations

import gzip
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nomad_sim.api.profile import KINDS, Frame, Measure, Profile, Sample, encode_profile

INNER = Frame("app.inner", "/app.py", 12)
OUTER = Frame("app.outer", "/app.py", 300)
MAIN = Frame("main.<module>", "/main.py", 3)

Fields = dict[int, list[Any]]


def varint(data: bytes) -> tuple[int, bytes]:
    number = shift = 0
    for length, byte in enumerate(data, start=1):
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, data[length:]
    raise AssertionError("a number without an end")


def fields(data: bytes) -> Fields:
    """Each field's values in order: numbers, and the bytes of texts and messages."""
    found: Fields = defaultdict(list)
    while data:
        tag, data = varint(data)
        number, kind = tag >> 3, tag & 7
        assert kind in {0, 2}, "only numbers and blocks are used"
        value, data = varint(data)
        if kind == 2:
            block, data = data[:value], data[value:]
            assert len(block) == value
            found[number].append(block)
        else:
            found[number].append(value)
    return found


def packed(data: bytes) -> list[int]:
    numbers = []
    while data:
        number, data = varint(data)
        numbers.append(number)
    return numbers


@dataclass(frozen=True)
class Read:
    """What a file says, with its references followed."""

    measures: list[Measure]
    samples: list[tuple[list[Frame], list[int]]]
    period_measure: Measure
    numbers: dict[str, int]
    default: str
    program: str


def read(file: bytes) -> Read:
    top = fields(gzip.decompress(file))
    texts = [text.decode() for text in top[6]]
    assert texts[0] == ""

    def text(of: Fields, field: int) -> str:
        return texts[of[field][0]] if field in of else ""

    def measure(data: bytes) -> Measure:
        return Measure(text(fields(data), 1), text(fields(data), 2))

    functions = {of[1][0]: (text(of, 2), text(of, 4)) for of in map(fields, top[5])}
    locations = {}
    for location in map(fields, top[4]):
        line = fields(location[4][0])
        name, path = functions[line[1][0]]
        locations[location[1][0]] = Frame(name, path, line[2][0] if 2 in line else 0)
        assert location[2] == [1], "every place is in the one program"

    samples = [([locations[number] for number in packed(of[1][0])], packed(of[2][0])) for of in map(fields, top[2])]
    (program,) = map(fields, top[3])
    assert program[7] == program[8] == program[9] == [1]
    numbers = {name: top[field][0] if field in top else 0 for name, field in NUMBERS.items()}
    return Read(
        [measure(data) for data in top[1]], samples, measure(top[11][0]), numbers, text(top, 14), text(program, 5)
    )


NUMBERS = {"at": 9, "duration": 10, "period": 12}


def test_a_cpu_profile_says_what_was_sampled_how_often_and_how_long() -> None:
    samples = (Sample((INNER, OUTER, MAIN), (3, 30_000_000)), Sample((OUTER, MAIN), (1, 10_000_000)))
    result = read(encode_profile(Profile(KINDS["cpu"], samples, 1_795_490_053.0, 1.5, "/usr/bin/python3")))

    assert result == Read(
        [Measure("samples", "count"), Measure("cpu", "nanoseconds")],
        [([INNER, OUTER, MAIN], [3, 30_000_000]), ([OUTER, MAIN], [1, 10_000_000])],
        Measure("cpu", "nanoseconds"),
        {"at": 1_795_490_053 * 10**9, "duration": 1_500_000_000, "period": 10_000_000},
        "",
        "/usr/bin/python3",
    )


MEMORY = ["alloc_objects/count", "alloc_space/bytes", "inuse_objects/count", "inuse_space/bytes"]


@pytest.mark.parametrize(
    ("name", "measures", "period", "default"),
    [
        ("cpu", ["samples/count", "cpu/nanoseconds"], (10_000_000, "cpu/nanoseconds"), ""),
        ("goroutine", ["goroutine/count"], (1, "goroutine/count"), ""),
        ("threadcreate", ["threadcreate/count"], (1, "threadcreate/count"), ""),
        ("heap", MEMORY, (524_288, "space/bytes"), ""),
        ("allocs", MEMORY, (524_288, "space/bytes"), "alloc_space"),
        ("block", ["contentions/count", "delay/nanoseconds"], (1, "contentions/count"), ""),
        ("mutex", ["contentions/count", "delay/nanoseconds"], (1, "contentions/count"), ""),
    ],
)
def test_each_kind_measures_what_gos_own_profile_measures(
    name: str, measures: list[str], period: tuple[int, str], default: str
) -> None:
    result = read(encode_profile(Profile(KINDS[name])))

    assert [f"{measure.type}/{measure.unit}" for measure in result.measures] == measures
    assert (result.numbers["period"], f"{result.period_measure.type}/{result.period_measure.unit}") == period
    assert result.default == default
    assert result.samples == []


def test_no_kind_is_left_out_of_these_tests() -> None:
    assert set(KINDS) == {"cpu", "goroutine", "threadcreate", "heap", "allocs", "block", "mutex"}


def test_a_place_in_many_stacks_is_written_once_and_a_function_once_for_all_its_lines() -> None:
    later = Frame(INNER.function, INNER.file, 13)
    samples = tuple(Sample(stack, (1,)) for stack in [(INNER, MAIN), (later, MAIN), (INNER, MAIN)])
    top = fields(gzip.decompress(encode_profile(Profile(KINDS["goroutine"], samples))))

    assert len(top[2]) == 3
    assert len(top[4]) == len({INNER, later, MAIN})
    assert len(top[5]) == len({INNER.function, MAIN.function})
    assert len(top[6]) == len(set(top[6]))


def test_functions_of_one_name_in_two_files_are_two() -> None:
    stack = (INNER, Frame(INNER.function, "/other.py", INNER.line))

    assert read(encode_profile(Profile(KINDS["goroutine"], (Sample(stack, (1,)),)))).samples == [(list(stack), [1])]


def test_the_file_does_not_tell_when_it_was_written_so_that_the_same_profile_is_the_same_file() -> None:
    file = encode_profile(Profile(KINDS["goroutine"], (Sample((INNER,), (1,)),), 5.0))

    assert file[4:8] == bytes(4), "the time in the head of a gzip file"


def test_a_function_goes_by_the_same_name_in_the_system() -> None:
    top = fields(gzip.decompress(encode_profile(Profile(KINDS["goroutine"], (Sample((INNER,), (1,)),)))))
    (function,) = map(fields, top[5])

    assert top[6][function[3][0]] == top[6][function[2][0]] == b"app.inner"


FRAMES = st.builds(Frame, st.text(max_size=9), st.text(max_size=9), st.integers(0, 2**31 - 1))
STACKS = st.lists(FRAMES).map(tuple)
VALUES = st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))


@given(samples=st.lists(st.builds(Sample, STACKS, VALUES)).map(tuple))
@settings(deadline=None)
def test_whatever_was_sampled_is_read_back(samples: tuple[Sample, ...]) -> None:
    result = read(encode_profile(Profile(KINDS["mutex"], samples)))

    assert result.samples == [([*sample.stack], [*sample.values]) for sample in samples]
