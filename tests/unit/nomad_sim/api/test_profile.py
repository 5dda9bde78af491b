"""Profiles and the execution trace, decoded by the rules of their formats."""

from __future__ import annotations

import gzip
from collections import defaultdict
from typing import Any

import pytest

from nomad_sim.api.profile import EXECUTION_TRACE, SAMPLE_TYPES, encode_profile

Fields = dict[int, list[Any]]

VARINT, LENGTH_DELIMITED = 0, 2


def decode_varint(data: bytes) -> tuple[int, bytes]:
    """Return the first number of ``data`` and the rest."""
    number = 0
    for length, byte in enumerate(data):
        number |= (byte & 0x7F) << 7 * length
        if byte < 0x80:
            return number, data[length + 1 :]
    raise AssertionError("truncated varint")


def decode_message(data: bytes) -> Fields:
    """Return the values of each field of a protobuf message, in order."""
    fields: Fields = defaultdict(list)
    while data:
        tag, data = decode_varint(data)
        value, data = decode_varint(data)
        assert tag & 7 in (VARINT, LENGTH_DELIMITED)
        if tag & 7 == LENGTH_DELIMITED:
            assert len(data) >= value
            fields[tag >> 3].append(data[:value])
            data = data[value:]
        else:
            fields[tag >> 3].append(value)
    return fields


def decode_packed(data: bytes) -> list[int]:
    numbers = []
    while data:
        number, data = decode_varint(data)
        numbers.append(number)
    return numbers


def sample_types_of(profile: Fields) -> list[str]:
    """Return ``type/unit`` of each value of a sample."""
    strings = [text.decode() for text in profile[6]]
    types = [decode_message(value_type) for value_type in profile[1]]
    return [f"{strings[value_type[1][0]]}/{strings[value_type[2][0]]}" for value_type in types]


MEMORY = ["alloc_objects/count", "alloc_space/bytes", "inuse_objects/count", "inuse_space/bytes"]
CONTENTION = ["contentions/count", "delay/nanoseconds"]
EXPECTED = {
    "profile": ["samples/count", "cpu/nanoseconds"],
    "goroutine": ["goroutine/count"],
    "threadcreate": ["threadcreate/count"],
    "heap": MEMORY,
    "allocs": MEMORY,
    "block": CONTENTION,
    "mutex": CONTENTION,
}


def test_all_seven_profiles_are_covered() -> None:
    assert SAMPLE_TYPES.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_profile_has_sample_types_of_go(name: str) -> None:
    assert sample_types_of(decode_message(gzip.decompress(encode_profile(name)))) == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_profile_has_one_sample_of_main(name: str) -> None:
    profile = decode_message(gzip.decompress(encode_profile(name)))
    (sample,), (location,), (function,) = (map(decode_message, profile[field]) for field in (2, 4, 5))
    (line,) = map(decode_message, location[4])

    assert decode_packed(sample[1][0]) == location[1]
    assert decode_packed(sample[2][0]) == [1] * len(EXPECTED[name])
    assert line[1] == function[1]
    assert profile[6][function[2][0]] == b"main.main"


@pytest.mark.parametrize("name", EXPECTED)
def test_string_table_starts_empty_and_has_no_duplicates(name: str) -> None:
    strings = decode_message(gzip.decompress(encode_profile(name)))[6]

    assert strings[0] == b""
    assert len(strings) == len(set(strings))


def test_profile_does_not_depend_on_the_time() -> None:
    modification_time = encode_profile("heap")[4:8]

    assert modification_time == bytes(4)


def test_execution_trace_is_a_header_and_one_batch() -> None:
    header, batch = EXECUTION_TRACE[:16], EXECUTION_TRACE[16:]
    event_batch, generation, thread, timestamp, length = batch[:5]
    frequency, rest = decode_varint(batch[6:])

    assert header == b"go 1.22 trace\0\0\0"
    assert (event_batch, generation, thread, timestamp, length) == (1, 1, 0, 1, len(batch) - 5)
    assert (batch[5], frequency, rest) == (8, 10**9, b"")
