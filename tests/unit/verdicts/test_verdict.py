"""Verdicts, and the formatting of their messages."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from nomad_exporter.nomad.failures import Failure, FailureReason
from nomad_exporter.verdicts.reasons import VERDICT_REASONS, Question, VerdictReason
from nomad_exporter.verdicts.verdict import (
    Problem,
    Verdict,
    describe,
    format_list,
    humanize,
    in_brackets,
)


@pytest.mark.parametrize(("question", "reason"), list(product(Question, VerdictReason)))
def test_reason_decides_whether_verdict_is_ok(question: Question, reason: VerdictReason) -> None:
    assert Verdict(question, reason, "").ok is (question in VERDICT_REASONS[reason].yes)


def test_own_remedy_replaces_the_remedy_of_the_reason() -> None:
    problem = Problem(VerdictReason.POLL_ERROR, "")

    assert problem.to_verdict(Question.READY).remedy == VERDICT_REASONS[VerdictReason.POLL_ERROR].remedy
    assert replace(problem, own_remedy="Renew it.").to_verdict(Question.READY).remedy == "Renew it."


def test_live_without_evidence_is_assumed() -> None:
    assumed = {reason for reason in VerdictReason if Verdict(Question.LIVE, reason, "").is_assumed}

    assert assumed == {VerdictReason.STARTING, VerdictReason.EXPORTER_STALLED}
    assert not [reason for reason in VerdictReason if Verdict(Question.READY, reason, "").is_assumed]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.04, "0s"), (1.23, "1.2s"), (10.0, "10s"), (59.94, "59.9s"), (67.4, "1m7s"), (3600.4, "1h")],
)
def test_humanize_rounds_durations(seconds: float, text: str) -> None:
    assert humanize(seconds) == text


REFUSED = Failure(FailureReason.REFUSED, "connection refused")
EXPIRED = Failure(FailureReason.TLS, "certificate has expired")


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        pytest.param(REFUSED, "connection refused", id="unresponsive"),
        pytest.param(EXPIRED, "tls: certificate has expired", id="responsive"),
        pytest.param(Failure(FailureReason.GATEWAY, "HTTP 502"), "gateway: HTTP 502", id="gateway"),
        pytest.param(Failure(FailureReason.DNS, "no such host"), "dns: no such host", id="inconclusive"),
    ],
)
def test_describe_names_the_reason_unless_unresponsive(failure: Failure, text: str) -> None:
    assert describe(failure) == text
    assert in_brackets(failure) == f" ({text})"


def test_no_failure_has_no_brackets() -> None:
    assert in_brackets(None) == ""


@pytest.mark.parametrize(
    ("items", "omitted", "text"),
    [
        ("", 0, ""),
        ("a", 0, "a"),
        ("abcde", 0, "a, b, c, d, e"),
        ("abcdef", 0, "a, b, c, d, e and 1 more"),
        ("abcdef", 3, "a, b, c, d, e and 4 more"),
        ("ab", 3, "a, b and 3 more"),
    ],
)
def test_list_names_five_items_and_counts_the_others(items: str, omitted: int, text: str) -> None:
    assert format_list(items, omitted) == text
