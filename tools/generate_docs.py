"""Generate the parts of docs/ that repeat what the code declares: settings, metrics, reasons and incidents.

A page holds each generated part between two marks. ``make docs`` replaces what is between them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from nomad_exporter import cli
from nomad_exporter.config.settings import AGENT, SECTIONS, SETTINGS, Setting
from nomad_exporter.metrics.families.transitions import TRANSITIONS
from nomad_exporter.metrics.family import Family, Format
from nomad_exporter.metrics.render import CATALOGUE
from nomad_exporter.metrics.self_metrics import SelfMetrics
from nomad_exporter.nomad.failures import FAILURE_REASONS
from nomad_exporter.verdicts.reasons import VERDICT_REASONS, Question, Remedy, VerdictReason
from nomad_exporter.web.routes import ROUTES
from nomad_sim.incidents.catalogue import INCIDENTS
from nomad_sim.incidents.scenario import Incident
from tools.limits import LIMITS

DOCS = Path(__file__).parent.parent / "docs"

Row = Sequence[str]

# Markdown

_CODE = re.compile(
    r"""
      docs/\w+\.md                                  # a page
    | https?://(?![\w[])                             # http:// as a scheme, without a host
    | --[a-z][\w-]*(?:\.[a-z][\w-]*)*                # a flag
    | (?<![\w./])/(?:-/)?[a-z][\w-]*(?:/[\w-]+)*     # a path
    | \?[a-z]+\b                                     # a query parameter
    | (?<=\()(?:nomad|systemctl)\ [a-z -]+(?=\))    # a command in parentheses
    | \b[a-z]+/[a-z]+\.json\b                       # a file
    | \b(?:user:password|host:port|unix:path)\b
    | \b[a-z]+:(?:read|write)\b                      # a capability
    | \b[a-z]+\.<[a-z]+>\.[a-z]+\b                   # a name in a certificate
    | \b[a-z]+(?:\.[A-Za-z_]+(?:\[\])?)+(?<!\.)      # a path in JSON
    | \b[A-Za-z]+\[\](?:\.[A-Za-z]+)*                # a list in JSON
    | \b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b              # a snake_case identifier
    | \b[A-Z]+(?:_[A-Z]+)+\b                         # an environment variable
    """,
    re.VERBOSE,
)


_LINKS = {
    "docs/troubleshooting.md": "[Poll failures](#poll-failures)",
    "docs/security.md": "[Security](security.md)",
}
"""The pages that the texts name, as links."""


def mark_code(text: str) -> str:
    """Return ``text`` with links to pages and code marks around flags, paths, commands and identifiers."""
    return _CODE.sub(lambda found: _LINKS.get(found[0], f"`{found[0]}`"), text)


def split_sentences(text: str) -> str:
    """Return ``text`` with one sentence a line."""
    return re.sub(r"(?<=[.!?]) (?=[A-Z0-9])", "\n", text)


def _code_list(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: Row, rows: Iterable[Row]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _sections(sections: Iterable[tuple[str, str]]) -> str:
    """Return sections of the third level, each a heading and a body that ends with a line feed."""
    return "\n".join(f"### {heading}\n\n{body}" for heading, body in sections)


# Settings


def settings() -> str:
    """Return one table for each section of settings."""
    head = ("Flag", "Environment variables", "Key in the file", "Default", "Meaning")
    tables = [("Configuration file", _table(("Flag", "Environment variables", "Meaning"), _file_options()))]
    for section, rows in groupby(SETTINGS.values(), lambda setting: setting.section):
        tables.append((SECTIONS[section], _table(head, map(_setting, rows))))
    return _sections(tables)


def _file_options() -> Iterator[Row]:
    for option in cli.command().params:
        if option.opts[0].startswith("--config."):
            variables = [option.envvar] if isinstance(option.envvar, str) else option.envvar or ()
            yield f"`{option.opts[0]}`", _code_list(variables), mark_code(getattr(option, "help", ""))


def _setting(setting: Setting) -> Row:
    flag = "none (a secret)" if setting.secret else f"`{setting.flag}`"
    key = f"`agents[].{setting.key}`" if setting.section == AGENT else f"`{setting.section}.{setting.key}`"
    default = f"`{setting.default}`" if setting.default else ""
    return flag, _code_list(setting.variables), key, default, mark_code(setting.help)


# Metrics

_GROUPS = {
    "configuration": "Monitored agents",
    "cluster": "Clusters",
    "verdict": "Verdicts",
    "polls": "Polls and certificates",
    "changes": "Change counters",
    "self": "Agent",
    "self: stats.nomad": "Agent",
    "self: stats.raft": "Raft",
    "self: stats.serf": "Gossip (serf)",
    "self: stats.client": "Client",
    "self: stats.runtime": "Runtime",
    "self: stats.vault": "Vault",
}
"""The headings of the metrics page, by the origin of a family; other origins are sources, and their own heading."""


def metrics() -> str:
    """Return one table for each group of metric families, and one for the exporter's own."""
    groups: dict[str, list[Row]] = {heading: [] for heading in _GROUPS.values()}
    for family in (family for table in CATALOGUE for family in table):
        origin = _origin(family)
        groups.setdefault(_GROUPS.get(origin, origin.capitalize()), []).append(_metric(family))
    head = ("Metric", "Type", "Labels", "Meaning", "Origin")
    sections = [(heading, _table(head, rows)) for heading, rows in groups.items() if rows]
    own = _table(("Metric", "Type", "Labels", "Meaning"), _own_metrics())
    return _sections([*sections, ("Exporter", own)])


def _origin(family: Family[Any]) -> str:
    """Return the key of the family's group."""
    if family in TRANSITIONS:
        return "changes"
    source, _, path = family.origin.partition(": ")
    group = f"{source}: {'.'.join(path.split('.')[:2])}"
    return group if group in _GROUPS else source


def _metric(family: Family[Any]) -> Row:
    return f"`{family.name}`", family.type, _code_list(family.labels), mark_code(family.help), mark_code(family.origin)


def _own_metrics() -> Iterator[Row]:
    """Yield the exporter's own families; those about its process and Python share one row."""
    page = SelfMetrics().page(Format.TEXT).decode()
    pattern = r"^# HELP (nomad_exporter_\S+) (.*)\n# TYPE \S+ (\S+)\n\1(?:\{(.*)\})?"
    for name, meaning, kind, labels in re.findall(pattern, page, re.MULTILINE):
        yield f"`{name}`", kind, _code_list(re.findall(r"(\w+)=", labels)), mark_code(meaning)
    yield "`process_*`, `python_*`", "", "", "The exporter's process and its Python runtime."


# Reasons


def failure_reasons() -> str:
    """Return a section for each reason of a failed poll."""
    return _sections(
        (f"`{reason}`", _explain(remedy.meaning, remedy.remedy)) for reason, remedy in FAILURE_REASONS.items()
    )


def verdict_reasons() -> str:
    """Return a section for each reason of a verdict, with the verdicts that it answers."""
    return _sections(
        (f"`{reason}`", f"Verdicts: {_statuses(remedy)}.\n\n{_explain(remedy.meaning, remedy.remedy)}")
        for reason, remedy in VERDICT_REASONS.items()
    )


def _statuses(remedy: Remedy) -> str:
    return ", ".join(f"{question} {200 if question in remedy.yes else 503}" for question in remedy.questions)


def _explain(meaning: str, remedy: str) -> str:
    return split_sentences(mark_code(f"{meaning}\n\n**What to do:** {remedy}\n"))


# Incidents

_UNREMARKABLE = (VerdictReason.OK, VerdictReason.NOT_A_VOTER)


def incidents() -> str:
    """Return a table of the simulator's incidents, with the reasons they cause and the flags they need."""
    rows = [
        (f"`{name}`", mark_code(incident.title), _expected_reasons(incident), _required_flags(incident))
        for name, incident in INCIDENTS.items()
    ]
    return _table(("Incident", "What happens", "Expected reasons", "Required flags"), rows)


def _expected_reasons(incident: Incident) -> str:
    expected = [expectation.reasons for step in incident.steps for expectation in step.expectations]
    by_question = {
        question: dict.fromkeys(
            f"`{reasons[question]}`" for reasons in expected if reasons.get(question, "ok") not in _UNREMARKABLE
        )
        for question in Question
    }
    shown = [f"{question}: {', '.join(reasons)}" for question, reasons in by_question.items() if reasons]
    return "; ".join(shown) or "none, only metrics"


def _required_flags(incident: Incident) -> str:
    required = incident.requirements
    flags = {"--acl": required.acl, "--tls": required.tls, f"--regions {required.regions}": required.regions > 1}
    return _code_list(flag for flag, is_required in flags.items() if is_required)


def paths() -> str:
    """Return a table of all paths."""
    rows = [(f"`{route.path}`", ", ".join(route.methods), mark_code(route.summary)) for route in ROUTES]
    return _table(("Path", "Methods", "Response"), rows)


def limits() -> str:
    """Return a table of the fixed limits."""
    return _table(("Limit", "Value", "Beyond"), ((limit.subject, limit.value, limit.beyond) for limit in LIMITS))


# Pages

PARTS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "configuration.md": {"settings": settings, "paths": paths, "limits": limits},
    "metrics.md": {"metrics": metrics},
    "troubleshooting.md": {"failure reasons": failure_reasons, "verdict reasons": verdict_reasons},
    "demo.md": {"incidents": incidents},
}
"""The generated parts of each page."""


def regenerate(page: str, text: str) -> str:
    """Return ``text`` of ``page`` with its generated parts replaced. Raises ValueError if a mark is missing."""
    for name, generate in PARTS[page].items():
        begin, end = f"<!-- begin {name}: generated by make docs -->\n", f"<!-- end {name} -->\n"
        before, has_begin, rest = text.partition(begin)
        _, has_end, after = rest.partition(end)
        if not (has_begin and has_end):
            raise ValueError(f"{page}: the marks of {name!r} are missing")
        text = f"{before}{begin}\n{generate()}\n{end}{after}"
    return text


def main() -> None:
    """Rewrite the generated parts of all pages in place."""
    for page in PARTS:
        path = DOCS / page
        path.write_text(regenerate(page, path.read_text()))
        sys.stdout.write(f"docs/{page} is up to date\n")


if __name__ == "__main__":
    main()
