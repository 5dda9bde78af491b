"""The closed list of reasons: each fits in a label, and may prove that the agent responds or does not."""

from __future__ import annotations

import re

import pytest

from nomad_exporter.nomad.failures import RESPONSIVE, UNRESPONSIVE, Failure, FailureReason


def test_failure_is_formatted_as_reason_and_detail() -> None:
    assert str(Failure(FailureReason.TOO_LARGE, "more than 8 MiB")) == "too_large: more than 8 MiB"


@pytest.mark.parametrize("reason", FailureReason)
def test_reason_is_a_label_value(reason: FailureReason) -> None:
    assert re.fullmatch(r"[a-z_]+", str(reason))


def test_no_reason_is_unresponsive_and_responsive() -> None:
    assert not UNRESPONSIVE & RESPONSIVE


@pytest.mark.parametrize(
    ("reason", "unresponsive", "responsive"),
    [
        (FailureReason.DNS, False, False),
        (FailureReason.REFUSED, True, False),
        (FailureReason.UNREACHABLE, False, False),
        (FailureReason.RESET, True, False),
        (FailureReason.TIMEOUT, True, False),
        (FailureReason.TLS, False, True),
        (FailureReason.CERTIFICATE_EXPIRED, False, True),
        (FailureReason.CREDENTIALS, False, False),
        (FailureReason.UNAUTHORIZED, False, True),
        (FailureReason.REDIRECT, False, True),
        (FailureReason.STATUS, False, True),
        (FailureReason.GATEWAY, True, False),
        (FailureReason.PROTOCOL, False, True),
        (FailureReason.TOO_LARGE, False, True),
        (FailureReason.DECODE, False, True),
        (FailureReason.INTERNAL, False, False),
    ],
)
def test_reason_implies_responsiveness(reason: FailureReason, unresponsive: bool, responsive: bool) -> None:
    failure = Failure(reason, "detail")

    assert (failure.is_unresponsive, failure.is_responsive) == (unresponsive, responsive)


@pytest.mark.parametrize("reason", FailureReason)
def test_partial_response_is_responsive_for_any_reason(reason: FailureReason) -> None:
    failure = Failure(reason, "detail", has_partial_response=True)

    assert (failure.is_unresponsive, failure.is_responsive) == (False, True)


def test_other_reasons_prove_nothing() -> None:
    assert {reason for reason in FailureReason if reason not in UNRESPONSIVE | RESPONSIVE} == {
        FailureReason.DNS,
        FailureReason.UNREACHABLE,
        FailureReason.CREDENTIALS,
        FailureReason.INTERNAL,
    }


@pytest.mark.parametrize(
    ("failure", "refused"),
    [
        (Failure(FailureReason.REFUSED, "connection refused"), True),
        (Failure(FailureReason.GATEWAY, "HTTP 502", status=502), True),
        (Failure(FailureReason.GATEWAY, "HTTP 503", status=503), True),
        (Failure(FailureReason.GATEWAY, "HTTP 504", status=504), False),
        (Failure(FailureReason.STATUS, "HTTP 503", status=503), False),
        (Failure(FailureReason.RESET, "connection closed"), False),
    ],
    ids=str,
)
def test_gateway_without_connection_counts_as_refused(failure: Failure, refused: bool) -> None:
    assert failure.is_refused is refused
