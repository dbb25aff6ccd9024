"""Guards: what a plan may not do without being told. Pure.

Ceilings are checked over the whole plan before the first write, so that a bad sheet changes nothing
rather than half.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from catalogsync.errors import Problem
from catalogsync.model import Ceiling


def exceeded(
    counts: Mapping[str, int],
    existing_count: int,
    ceilings: Mapping[str, Ceiling],
    *,
    advice: str = "check the sheet; if it is meant",
) -> Iterator[Problem]:
    """A problem for each kind (``add``, ``update``, ``delete``) of which there are more than its ceiling allows."""
    for kind, ceiling in ceilings.items():
        count = counts.get(kind, 0)
        if not ceiling.allows(count, existing_count):
            share = f" ({count / existing_count:.0%})" if existing_count else ""
            yield Problem(
                f"guard {kind}",
                f"the plan would {kind} {count} of {existing_count} elements{share}, the ceiling is {ceiling}",
                f"{advice}, --max-{kind} {count}",
            )
