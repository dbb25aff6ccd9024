"""``python -m tests.write_schema`` writes the schemas of mapping and project file anew, after their keys changed."""

from __future__ import annotations

from pathlib import Path

from catalogsync import mapping_schema
from catalogsync.reconcile import schema as project_schema

FOLDER = Path(__file__).resolve().parents[1] / "mappings"
SCHEMA = FOLDER / mapping_schema.FILE_NAME
PROJECT_SCHEMA = FOLDER / project_schema.FILE_NAME

if __name__ == "__main__":
    SCHEMA.write_text(mapping_schema.schema_text(), encoding="utf-8", newline="\n")
    PROJECT_SCHEMA.write_text(project_schema.schema_text(), encoding="utf-8", newline="\n")
