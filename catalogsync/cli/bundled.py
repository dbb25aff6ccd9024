"""Where the samples and mappings are: inside an installed package, beside it in a checkout."""

from __future__ import annotations

import shutil
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def bundled(folder: str, name: str) -> Path:
    """The path of a file in ``samples/`` or ``mappings/``."""
    installed = _PACKAGE / "bundled" / folder / name
    return installed if installed.exists() else _PACKAGE.parent / folder / name


def put_schema_beside(mapping: Path) -> None:
    """Put the schema that a mapping's first line names beside it, for editors to complete it. Raises OSError."""
    name = "mapping.schema.json"
    shutil.copyfile(bundled("mappings", name), mapping.with_name(name))
