"""A JSON Schema of ``catalogsync.yaml``, so that editors complete and check it: made from the models in project.py."""

from __future__ import annotations

import json
from typing import Any

from catalogsync.mapping_schema import TEXT, object_of
from catalogsync.reconcile.project import EVENTS, AccountSpec, AlertSpec, JobDefaults, JobSpec, MetricsSpec, ProjectFile

FILE_NAME = "project.schema.json"

_FLAG = {"anyOf": [{"type": "boolean"}, {"enum": ["yes", "no", "true", "false"]}]}
_TEXTS = {"anyOf": [TEXT, {"type": "array", "items": TEXT}]}
_EVENTS = {"anyOf": [{"enum": list(EVENTS)}, {"type": "array", "items": {"enum": list(EVENTS)}}]}
_LIMIT = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+([.][0-9]+)?%?$"}]}
_SPAN = {"type": "string", "pattern": "^" + "".join(f"([0-9.]+ *{unit} *)?" for unit in "dhms") + "$"}
_CEILINGS = {
    "type": "object",
    "additionalProperties": False,
    "properties": dict.fromkeys(("delete", "update", "add", "options"), _LIMIT),
}


def project_schema() -> dict[str, Any]:
    """The schema of a project file, draft 7: what editors know best."""
    account = object_of(AccountSpec, {"token": {"type": "string", "pattern": "^(env|file|keyring):\\S.*"}})
    digest = {"type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]$"}
    alerts = object_of(AlertSpec, {"to": _TEXTS, "events": _EVENTS, "digest": digest})
    metrics = object_of(MetricsSpec, {"port": {"type": "integer", "minimum": 1, "maximum": 65535}})
    count = {"type": "integer", "minimum": 0}
    forms = {"alerts": alerts, "guards": _CEILINGS, "strict": _FLAG, "max_requests": count, "deadline": _SPAN}
    defaults, job = object_of(JobDefaults, forms), object_of(JobSpec, forms)
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "catalogsync project file",
        "description": "Which sheets are kept in step with which catalogs, and when.",
        **object_of(
            ProjectFile,
            {
                "account": account,
                "accounts": {"type": "object", "additionalProperties": account},
                "defaults": defaults,
                "jobs": {"type": "object", "minProperties": 1, "additionalProperties": job},
                "metrics": metrics,
            },
        ),
    }


def schema_text() -> str:
    """The schema as the text of its file."""
    return json.dumps(project_schema(), ensure_ascii=False, indent=2) + "\n"
