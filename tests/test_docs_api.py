"""docs/api.md and docs/emulator.md against the code: what is cited exists, and every example runs as it is printed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import requests
import yaml

from catalogsync.cli.emulator import command
from catalogsync.emulator.faults import Fault
from catalogsync.emulator.knobs import CHOICES, DEFAULTS
from catalogsync.emulator.seed import SeedError
from catalogsync.emulator.server import MOST_ARRIVALS, Emulator

ROOT = Path(__file__).parents[1]
API = (ROOT / "docs/api.md").read_text(encoding="utf-8")
EMULATOR = (ROOT / "docs/emulator.md").read_text(encoding="utf-8")
ELEMENTS = "/api/v2/catalog_elements"

HEADINGS = set(re.findall(r"^#+ (\d+(?:\.\d+)?) ", API, re.MULTILINE))
QUESTIONS = set(re.findall(r"^\| (Q\d+) \|", API, re.MULTILINE))
RULES = {f"rule {number}" for number in re.findall(r"^\* \*\*Rule (\d+)\.\*\*", API, re.MULTILINE)}
SEED_PAGES = {f"seed page {number}" for number in re.findall(r"^\* \*\*Seed page (\d+)\*\*", API, re.MULTILINE)}

_CITED = re.compile(r"\bnotes\s+((?:\d+(?:\.\d+)?|Q\d+|rule\s+\d+|and|to|,|\s)+)")
_TARGET = re.compile(r"(?P<first>\d+\.\d+) to (?P<last>\d+\.\d+)|(?P<named>Q\d+|rule \d+)|(?P<section>\d+(?:\.\d+)?)")


def blocks(language: str) -> list[str]:
    """The fenced blocks of docs/emulator.md in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", EMULATOR, re.MULTILINE | re.DOTALL)


def citations(text: str) -> set[str]:
    """Everything of docs/api.md that a source text points at."""
    found = set(re.findall(r"\bQ\d+\b", text)) | set(re.findall(r"\bseed page \d+", text))
    for cited in _CITED.findall(text):
        for target in _TARGET.finditer(" ".join(cited.split())):
            if target["first"]:
                (chapter, first), (_, last) = target["first"].split("."), target["last"].split(".")
                found |= {f"{chapter}.{number}" for number in range(int(first), int(last) + 1)}
            else:
                found.add(target["named"] or target["section"])
    return found


def sources() -> list[Path]:
    return sorted((ROOT / "catalogsync").rglob("*.py"))


def test_a_citation_is_read_in_all_the_forms_it_takes() -> None:
    text = 'a (api notes 1.2 to\n    1.4). b (notes 9, rule 2) c: notes 1.1 and 1.7; notes 8, Q4, "notes": [3]'
    assert citations(text) == {"1.2", "1.3", "1.4", "9", "rule 2", "1.1", "1.7", "8", "Q4"}


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_citation_points_at_something(path: Path) -> None:
    known = HEADINGS | QUESTIONS | RULES | SEED_PAGES
    assert citations(path.read_text(encoding="utf-8")) - known == set()


def test_citations_are_found_at_all() -> None:
    cited = set().union(*(citations(path.read_text(encoding="utf-8")) for path in sources()))
    assert cited >= {"1.3", "1.5", "3.1", "rule 2", "rule 8", "Q4", "seed page 000", "seed page 002"}


def test_the_documents_point_at_what_exists() -> None:
    mentioned = set(re.findall(r"\bQ\d+\b", API + EMULATOR))
    assert mentioned == QUESTIONS
    in_brackets = re.findall(r"\(([\d., Q]+)\)", API + EMULATOR)
    sections = {section for group in in_brackets for section in re.findall(r"\b\d\.\d\b", group)}
    assert sections
    assert sections <= HEADINGS


def test_every_knob_is_told_with_its_default_and_its_positions() -> None:
    told: dict[str, tuple[str, str]] = {}
    for name, default, positions in re.findall(r"^\| `(\w+)` \| `(\w+)` \| ([^|]+) \|", EMULATOR, re.MULTILINE):
        told[name] = (default, positions.replace("`", ""))
    kinds = {bool: "true, false", int: "a number", str: "seed, a zone name"}
    assert told == {
        name: (
            str(default).lower() if isinstance(default, bool) else str(default),
            ", ".join(CHOICES[name]) if name in CHOICES else kinds[type(default)],
        )
        for name, default in DEFAULTS.items()
    }


def test_the_open_questions_name_every_knob_and_no_other() -> None:
    column = re.findall(r"^\| Q\d+ \|[^|]*\|[^|]*\|([^|]*)\|", API, re.MULTILINE)
    named = {name for cell in column for name in re.findall(r"`([a-z]\w+)`", cell)}
    assert named == set(DEFAULTS)


def test_every_option_of_the_command_is_told() -> None:
    assert {option for parameter in command.params for option in parameter.opts} <= set(
        re.findall(r"`(--[a-z-]+)`", EMULATOR)
    )


def test_the_length_of_the_request_log_is_told() -> None:
    assert f"the last {MOST_ARRIVALS} API requests" in EMULATOR


def test_the_python_example_runs() -> None:
    (example,) = blocks("python")
    exec(compile(example, "docs/emulator.md", "exec"), {"__name__": "example"})


def test_the_seed_example_fills_an_account(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    seed = tmp_path / "seed.yaml"
    seed.write_text(text, encoding="utf-8")
    with Emulator(seed=seed) as emulator:
        assert emulator.token == "my-token"
        pencils = emulator.store.element(41872)
        assert pencils is not None
        assert (pencils.values, pencils.leads) == ({4400049: "00415", 4400062: [3692539, 3692540]}, (31,))
        assert pencils.updated_at == 1760000500
    seed.write_text(text.replace("type: select,", "type: selct,"), encoding="utf-8")
    with pytest.raises(SeedError) as refused:
        Emulator(seed=seed).start()
    (message,) = re.findall(r"`(catalogs\[0\].*? is none of) …`", EMULATOR)
    assert str(refused.value).startswith(message)


#: What a GET and then two equal POSTs see, and how many elements there are in the end. Each POST adds an element and
#: has an error: 0 where no answer comes, "cut" where it is no JSON, "flat" for a list of errors, "other" for JSON that
#: is no object.
FAULTS: dict[str, tuple[list[object], int]] = {
    "504 after POST /api/v2/catalog_elements nth=2": ([200, 200, 504], 3),
    "504 half POST": ([200, 504, 200], 3),
    "apply-late=5 POST": ([200, 504, 200], 2),
    "429 GET count=3": ([429, 200, 200], 3),
    "429 json retry-after=2 GET": ([429, 200, 200], 3),
    "401 nth=2": ([200, 401, 200], 2),
    "402 every=2 count=5": ([402, 200, 402], 2),
    "drop before POST": ([200, 0, 200], 2),
    "drop after POST": ([200, 0, 200], 3),
    "truncate GET": (["cut", 200, 200], 3),
    "garble GET": (["cut", 200, 200], 3),
    "garble=list GET": (["other", 200, 200], 3),
    "delay=0.1 GET count=0": ([200, 200, 200], 3),
    "errors=flat POST": ([200, "flat", 200], 3),
    'edit 41872 Colour=Green name="Red pencils" before POST nth=2': ([200, 200, 200], 3),
    "delete 41872 after GET": ([200, 200, 200], 2),
    "delete newest 4220 before POST": ([200, 200, 200], 2),
    "add 4220 Chalk Colour=Red before POST": ([200, 200, 200], 4),
    "normalise=trim POST": ([200, 200, 200], 3),
}
#: All others strike once.
STRIKES = {"402 every=2 count=5": 2, "normalise=trim POST": 2}


def seen(http: requests.Session, method: str, url: str, body: object = None) -> object:
    """What one request sees, in the words of `FAULTS`."""
    try:
        answer = http.request(method, url, json=body, timeout=10)
    except requests.ConnectionError:
        return 0
    if answer.status_code != 200:
        return answer.status_code
    try:
        errors = answer.json()["_embedded"].get("errors")
    except requests.exceptions.JSONDecodeError:
        return "cut"
    except TypeError:
        return "other"
    return "flat" if isinstance(errors, list) else 200


@pytest.mark.parametrize("text", FAULTS)
def test_a_fault_example_does_what_it_says(text: str) -> None:
    (listed,) = blocks("text")
    assert text in listed.splitlines()
    body = {"add": [{"catalog_id": 4220, "name": "Eraser"}], "update": [{"id": 1, "name": "Nobody"}]}
    with Emulator(seed=yaml.safe_load(blocks("yaml")[0]), rps=0) as emulator, requests.Session() as http:
        http.headers["Authorization"] = f"Bearer {emulator.token}"
        fault = emulator.fault(text)
        url = emulator.url + ELEMENTS
        answers = [seen(http, "GET", f"{url}?catalog_id=4220"), seen(http, "POST", url, body)]
        answers.append(seen(http, "POST", url, body))
        assert (answers, emulator.store.count(4220)) == FAULTS[text]
        assert (fault.fired, fault.failed) == (STRIKES.get(text, 1), None)


def test_the_fault_examples_are_all_tried() -> None:
    assert blocks("text")[0].splitlines() == list(FAULTS)
    words = re.findall(r"^\| ((?:`[^`|]+`(?:, )?)+)(?:, …)? \| ", EMULATOR.split("## Faults")[1], re.MULTILINE)
    for word in re.findall(r"`([^`]+)`", " ".join(words[:13])):
        # A condition needs an effect before it.
        is_effect = re.match(r"\d|drop|truncate|garble|delay|apply|errors|normalise|edit|delete|add", word)
        assert Fault.from_text(word if is_effect else f"504 {word}")


def test_the_curl_example_answers_what_is_printed() -> None:
    console = next(block for block in blocks("console") if "_emulator/faults" in block)
    fault, change = re.findall(r"-d '([^']*)'", console)
    printed = [int(line) for line in console.splitlines() if line.isdigit()]
    with Emulator(seed=yaml.safe_load(blocks("yaml")[0]), rps=0) as emulator, requests.Session() as http:
        set_ = http.post(f"{emulator.url}/_emulator/faults", data=fault, timeout=10)
        bearer = {"Authorization": f"Bearer {emulator.token}"}
        answer = http.post(emulator.url + ELEMENTS, data=change, headers=bearer, timeout=10)
        assert [set_.status_code, answer.status_code] == printed
        assert emulator.store.count(4220) == 2
        (logged,) = http.get(f"{emulator.url}/_emulator/requests", timeout=10).json()
        assert logged["body"] == json.loads(change)


def test_the_fault_object_answers_its_own_body() -> None:
    (given,) = blocks("json")
    with Emulator(rps=0) as emulator, requests.Session() as http:
        assert http.post(f"{emulator.url}/_emulator/faults", data=given, timeout=10).status_code == 200
        answer = http.get(f"{emulator.url}/api/v2/account", timeout=10)
        assert (answer.status_code, answer.json()) == (429, {"detail": "slow"})
        assert answer.headers["Content-Type"] == "application/json"
