"""The project file: what is told about it, all at once, and its schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from catalogsync.budget import parse_duration
from catalogsync.errors import MappingError, UserError
from catalogsync.mapping_schema import descriptions
from catalogsync.reconcile.project import (
    AccountSpec,
    AlertSpec,
    JobDefaults,
    JobSpec,
    MetricsSpec,
    ProjectFile,
    load_project,
)
from catalogsync.reconcile.schema import project_schema, schema_text
from tests.write_schema import PROJECT_SCHEMA

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "catalogsync.yaml"

WHOLE = """
account: {url: https://example.kommo.com, token: env:TOKEN}
accounts:
  second: {url: https://second.kommo.com, token: file:~/token, api: v4}
defaults:
  schedule: 15m
  guards: {delete: 5%, add: 100}
  alerts: {to: [env:ALERTS, env:MORE], events: [failure, guard], digest: "08:00"}
jobs:
  prices: {sheet: inbox/prices-*.xlsx, mapping: prices.yaml}
  stock:
    sheet: https://example.com/stock.csv
    mapping: stock.yaml
    account: second
    mode: plan-only
    schedule: "*/15 6-20 * * 1-5"
    timezone: Europe/Riga
    guards: {delete: 0}
    alerts: {events: drift}
    strict: yes
    unchanged: skip
    max_requests: 500
    deadline: 10m
metrics: {file: catalogsync.prom, port: 9464}
"""


def load(folder: Path, text: str) -> ProjectFile:
    path = folder / "catalogsync.yaml"
    path.write_text(text, encoding="utf-8")
    return load_project(path)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(MappingError) as caught:
        load(folder, text)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_a_job_says_what_the_defaults_say_but_for_what_it_says_itself(tmp_path: Path) -> None:
    project = load(tmp_path, WHOLE)
    prices, stock = project.jobs["prices"], project.jobs["stock"]
    assert (prices.mode, prices.schedule, prices.guards) == ("apply", "15m", {"delete": "5%", "add": "100"})
    assert prices.alerts == AlertSpec(to=("env:ALERTS", "env:MORE"), events=("failure", "guard"), digest="08:00")
    assert (stock.mode, stock.guards) == ("plan-only", {"delete": "0", "add": "100"})
    assert stock.alerts == AlertSpec(to=("env:ALERTS", "env:MORE"), events=("drift",), digest="08:00")
    assert (stock.strict, stock.unchanged, stock.max_requests, stock.deadline) == (True, "skip", 500, "10m")
    assert project.account_of(prices) == AccountSpec(url="https://example.kommo.com", token="env:TOKEN")
    assert project.account_of(stock) == AccountSpec(url="https://second.kommo.com", token="file:~/token", api="v4")
    assert project.metrics == MetricsSpec(file="catalogsync.prom", port=9464)
    assert project.folder == tmp_path.resolve()


def test_every_problem_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    text = """account: {url: https://x.kommo.com, token: abc123, apii: v2}
defaults: {mode: aply, schedule: "* * *", alerts: {to: env:X, digest: "25:00"}}
jobs:
  a b: {sheet: x.csv, mapping: m.yaml}
  b:
    sheet: x.csv
    account: z
    deadline: 10
    timezone: Riga
    strict: maybe
    guards: {delete: many}
    max_requests: -5
    max_requests: 6
metrics: {port: 99999}
"""
    assert problems(tmp_path, text) == [
        "catalogsync.yaml:13: `max_requests` stands twice, first in line 12",
        "catalogsync.yaml:1 account.token: a token does not belong into a file that is shared: env:NAME, file:PATH or "
        "keyring:NAME",
        "catalogsync.yaml:1 account.apii: unknown key `apii` (did you mean `api`?)",
        'catalogsync.yaml:2 defaults.mode: "aply" is not one of: apply, "plan-only", approve',
        'catalogsync.yaml:2 defaults.schedule: "* * *" is neither an interval (15m) nor a cron expression: '
        "Wrong number of fields",
        'catalogsync.yaml:2 defaults.alerts.digest: "25:00" is not a time of day as in 08:00',
        'catalogsync.yaml:9 jobs.b.timezone: "Riga" is no time zone as in Europe/Riga',
        'catalogsync.yaml:11 jobs.b.guards: delete: "many" is not a count or a percentage',
        'catalogsync.yaml:10 jobs.b.strict: "maybe" is not yes or no',
        'catalogsync.yaml:12 jobs.b.max_requests: "-5" is not a count',
        'catalogsync.yaml:8 jobs.b.deadline: "10" is not a time as in 90s, 15m, 2h or 1d',
        "catalogsync.yaml:5 jobs.b: the key `mapping` is missing",
        'catalogsync.yaml:14 metrics.port: "99999" is not a port from 1 to 65535',
    ]


def test_a_job_of_an_account_that_is_not_there_is_told(tmp_path: Path) -> None:
    text = "jobs:\n  a: {sheet: x.csv, mapping: m.yaml, account: second}\n"
    assert problems(tmp_path, text) == [
        "catalogsync.yaml:2 jobs.a.account: there is no account “second” under `accounts:`"
    ]


@pytest.mark.parametrize("name", ["a b", "-a", "a/b", "x" * 65])
def test_a_job_has_a_name_that_a_file_can_have(tmp_path: Path, name: str) -> None:
    [problem] = problems(tmp_path, f"jobs:\n  {name}: {{sheet: x.csv, mapping: m.yaml}}\n")
    assert "cannot be a job's name" in problem


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("1d", 86_400), ("1.5 m", 90), ("1m30s", 90)]
)
def test_a_time_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "15", "m", "0m", "-1m", "1w", "1s1m", "1.2.3h", "٣m", "1" * 12 + "m"])
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        parse_duration(text)


def test_a_schedule_is_an_interval_or_what_cron_understands(tmp_path: Path) -> None:
    for schedule in ("15m", "1d", "0 3 * * *", "*/5 * * * *", "0 0 13 * 5"):
        assert load(tmp_path, f"jobs:\n  a: {{sheet: x, mapping: m, schedule: '{schedule}'}}\n").jobs["a"].schedule
    [problem] = problems(tmp_path, "jobs:\n  a: {sheet: x, mapping: m, schedule: 5s}\n")
    assert problem.endswith('"5s" is shorter than 10s')


def test_a_file_that_is_not_there_says_where_to_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such file.*docs/reconcile\.md"):
        load_project(tmp_path / "catalogsync.yaml")


# --- the schema ------------------------------------------------------------------------------------------------


def wrong(text: str) -> list[str]:
    tree: Any = yaml.safe_load(text)
    return ["/".join(map(str, error.absolute_path)) for error in Draft7Validator(project_schema()).iter_errors(tree)]


def test_the_shipped_schema_is_that_of_the_models() -> None:
    assert PROJECT_SCHEMA.read_text(encoding="utf-8") == schema_text(), "run `python -m tests.write_schema`"
    Draft7Validator.check_schema(json.loads(PROJECT_SCHEMA.read_text(encoding="utf-8")))


@pytest.mark.parametrize("spec", [ProjectFile, AccountSpec, AlertSpec, MetricsSpec, JobDefaults, JobSpec])
def test_every_key_has_a_description(spec: Any) -> None:
    assert set(descriptions(spec)) == set(spec.model_fields)
    assert all(words.endswith(".") for words in descriptions(spec).values())


def test_what_is_good_fits_the_schema_and_what_is_wrong_does_not(tmp_path: Path) -> None:
    sample = SAMPLE.read_text(encoding="utf-8")
    load(tmp_path, sample)
    assert wrong(sample) == []
    assert wrong(WHOLE) == []
    assert wrong("jobs: {}") == ["jobs"]
    assert wrong("jobs: {a: {sheet: x}}") == ["jobs/a"]
    assert wrong("account: {url: x, token: secret}\njobs: {a: {sheet: x, mapping: m, mode: aply}}") == [
        "account/token",
        "jobs/a/mode",
    ]
