"""The rules and the dashboard ask for what the program counts: metrics, labels and values that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from moonlatch.client.protocol import BEAT, EXECUTE_PATH, HEARTBEAT_PATH, SESSION, START
from moonlatch.metrics.exposition import GRANTED, Counts, Exposition

ROOT = Path(__file__).parents[2]
RULES: list[dict[str, Any]] = yaml.safe_load((ROOT / "deploy/alerts.yml").read_text())["groups"][0]["rules"]
PANELS: list[dict[str, Any]] = json.loads((ROOT / "deploy/grafana.json").read_text())["panels"]
EXPRESSIONS = [
    *(pytest.param(rule["expr"], id=rule["alert"]) for rule in RULES),
    *(pytest.param(target["expr"], id=panel["title"]) for panel in PANELS for target in panel["targets"]),
]

LABELS_OF_PROMETHEUS = {"job", "instance", "le"}
VALUES = {
    "moment": {START, BEAT, SESSION},
    "route": {EXECUTE_PATH, HEARTBEAT_PATH},
    "code": {GRANTED},
    "status": {"5.."},
    "job": {"moonlatch"},
}
METRIC = re.compile(r"\b((?:moonlatch|process)_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r"(\w+)\s*(=~|!~|!=|=)\s*\"([^\"]*)\"")
GROUPED = re.compile(r"\bby \(([^)]*)\)")


def documented() -> dict[str, set[str]]:
    """Every metric of the reference page, which another test holds against the program, with its labels."""
    page = (ROOT / "docs/reference/metrics.md").read_text()
    return {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(r"^\| `(moonlatch_\w+)` \|([^|]*)\|", page, re.MULTILINE)
    }


def outcomes() -> set[str]:
    """How an update can end, by the same page."""
    (row,) = re.findall(
        r"^\| `moonlatch_builds_total` .*$", (ROOT / "docs/reference/metrics.md").read_text(), re.MULTILINE
    )
    return set(re.findall(r"`(\w+)`", row.rpartition(":")[2]))


def base_name(metric: str) -> str:
    """The metric that a series belongs to."""
    stem = re.sub(r"_(bucket|sum|count)$", "", metric)
    return stem if stem in documented() else metric


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_asks_for_what_there_is(expression: str, exposed_by_process: set[str]) -> None:
    known = documented()
    named = METRIC.findall(expression)
    assert named or expression.startswith("up{")
    used: set[str] = set(LABELS_OF_PROMETHEUS)
    for metric, matchers in named:
        name = base_name(metric)
        assert name in known or name in exposed_by_process
        used |= known.get(name, set())
        for label, _, value in MATCHER.findall(matchers):
            assert label in known.get(name, set()) | LABELS_OF_PROMETHEUS
            assert value in (outcomes() if label == "outcome" else VALUES[label])
    for labels in GROUPED.findall(expression):
        assert {label.strip() for label in labels.split(",")} <= used


@pytest.fixture(scope="module")
def exposed_by_process() -> set[str]:
    """What the Prometheus client says of any process."""
    page = Exposition(Counts()).page().decode()
    return {sample.name for family in text_string_to_metric_families(page) for sample in family.samples}


def test_every_metric_of_ours_is_in_a_rule_or_on_the_dashboard() -> None:
    shown = {base_name(metric) for param in EXPRESSIONS for metric, _ in METRIC.findall(str(param.values[0]))}
    assert set(documented()) - shown == {"moonlatch_info"}


def test_every_rule_says_what_it_is_and_how_bad() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}


def test_prometheus_itself_takes_the_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool")
    checked = subprocess.run(
        [promtool, "check", "rules", ROOT / "deploy/alerts.yml"], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, f"SUCCESS: {len(RULES)} rules found" in checked.stdout) == (0, True)
