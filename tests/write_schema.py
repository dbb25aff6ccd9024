"""``python -m tests.write_schema`` writes the schema of the mapping file anew, after a change of its keys."""

from __future__ import annotations

from pathlib import Path

from catalogsync.mapping_schema import FILE_NAME, schema_text

SCHEMA = Path(__file__).resolve().parents[1] / "mappings" / FILE_NAME

if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), encoding="utf-8", newline="\n")
