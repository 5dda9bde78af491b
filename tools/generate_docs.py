"""Writes the tables of README.md that come from the code: metrics, settings, failures, reasons and incidents."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from nomad_exporter.config.settings import AGENT, SETTINGS, Setting
from nomad_exporter.metrics.exposition import Format
from nomad_exporter.metrics.family import Family
from nomad_exporter.metrics.render import CATALOGUE
from nomad_exporter.metrics.self_metrics import SelfMetrics
from nomad_exporter.nomad.failures import FAILURE_REASONS
from nomad_exporter.verdicts import reasons as verdicts
from nomad_sim.incidents.catalogue import INCIDENTS
from nomad_sim.incidents.scenario import Incident

README = Path(__file__).parent.parent / "README.md"


def metrics() -> str:
    """A row for each family of the catalogue, in the order of the page, and then the exporter's own."""
    rows = [_metric(family) for table in CATALOGUE for family in table]
    return _table(("Metric", "Labels beside `agent`", "Meaning", "From"), [*rows, *_own_metrics()])


def _metric(family: Family[Any]) -> tuple[str, ...]:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    return (f"`{family.name}`", labels, family.help, family.origin)


def _own_metrics() -> Iterable[tuple[str, ...]]:
    """The families of the exporter's own page; those of Python and the process are one row each."""
    page = SelfMetrics().page(Format.TEXT).decode()
    for name, meaning in re.findall(r"^# HELP (nomad_exporter_\S+) (.*)$", page, re.MULTILINE):
        yield (
            f"`{name}`",
            "no `agent`" + (", `version`, `pythonversion`" if name.endswith("_info") else ""),
            meaning,
            "",
        )
    yield "`process_*`, `python_*`", "no `agent`", "The exporter's own process.", ""


def settings() -> str:
    """A row for each setting: its flag, its variables, its default and its meaning."""
    file = ("`--config.file`", "`NOMAD_EXPORTER_CONFIG_FILE`", "", "", "YAML file with agents and settings.")
    check = ("`--config.check`", "", "", "", "Check the settings and end.")
    return _table(
        ("Flag", "Variables", "Key in a file", "Default", "Meaning"), [file, check, *map(_setting, SETTINGS.values())]
    )


def _setting(row: Setting) -> tuple[str, ...]:
    flag = "(none: a secret)" if row.secret else f"`{row.flag}`"
    variables = " ".join(f"`{name}`" for name in row.variables)
    key = f"`{row.key}` of an agent" if row.section == AGENT else f"`{row.section}.{row.key}`"
    return (flag, variables, key, f"`{row.default}`" if row.default else "", row.help)


def failures() -> str:
    """A row for each reason why a poll fails, with what to do."""
    rows = [
        (f"`{reason}`", f"The agent {advice.meaning}.", advice.remedy) for reason, advice in FAILURE_REASONS.items()
    ]
    return _table(("Reason", "What it means", "What to do"), rows)


def reasons() -> str:
    """A row for each reason of a verdict: which questions it answers and how, and what to do."""
    rows = [
        (f"`{reason}`", _answered(advice), advice.meaning, advice.remedy)
        for reason, advice in verdicts.VERDICT_REASONS.items()
    ]
    return _table(("Reason", "Answers", "What it means", "What to do"), rows)


def _answered(advice: verdicts.Remedy) -> str:
    return ", ".join(f"{question} {'200' if question in advice.yes else '503'}" for question in advice.questions)


def incidents() -> str:
    """A row for each incident: its line, the reasons by which it is seen, and what it switches on."""
    rows = [(f"`{name}`", incident.title, _seen(incident), _needed(incident)) for name, incident in INCIDENTS.items()]
    return _table(("Incident", "What happens", "Reasons to be seen", "With"), rows)


def _seen(incident: Incident) -> str:
    expected = [each.reasons for step in incident.steps for each in step.expectations]
    told = {
        question: [f"`{reasons[question]}`" for reasons in expected if reasons.get(question, "ok") not in _DEFAULT]
        for question in verdicts.Question
    }
    shown = [f"{question}: {', '.join(dict.fromkeys(found))}" for question, found in told.items() if found]
    return "; ".join(shown) or "none, but metrics"


_DEFAULT = (verdicts.VerdictReason.OK, verdicts.VerdictReason.NOT_A_VOTER)


def _needed(incident: Incident) -> str:
    requirements = incident.requirements
    flags = {
        "--acl": requirements.acl,
        "--tls": requirements.tls,
        f"--regions {requirements.regions}": requirements.regions > 1,
    }
    return ", ".join(f"`{flag}`" for flag, wanted in flags.items() if wanted)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(head)
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


TABLES_OF_README: Mapping[str, Callable[[], str]] = {
    "metrics": metrics,
    "settings": settings,
    "failures": failures,
    "reasons": reasons,
    "incidents": incidents,
}


def generated(text: str) -> str:
    """``text`` with every table between its two marks made anew. Raises ValueError where a mark is missing."""
    for name, table in TABLES_OF_README.items():
        begin, end = f"<!-- {name}: made by make docs -->\n", f"<!-- end of {name} -->\n"
        before, found, rest = text.partition(begin)
        _, also_found, after = rest.partition(end)
        if not (found and also_found):
            raise ValueError(f"no place for the table of {name}")
        text = before + begin + table() + end + after
    return text


def main() -> None:
    """Rewrites README.md in place."""
    README.write_text(generated(README.read_text()))
    sys.stdout.write("README.md is up to date.\n")


if __name__ == "__main__":
    main()
