"""Random schedules of faults, kills and colleagues' edits, in this process and on a clock of their own.

    python -m tests.crash.schedules [--count 10000] [--seed S] [--api v2|v4] [--only SEED]

Each has a seed of its own, counted up from the first one; `--only` repeats one and tells its story. Printed are what
happened, what was within the limits that the laws state, what is known and open, and what was wrong.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.crash.schedule import Played, Schedule
from tests.crash.stage import Stage
from tests.crash.verdict import judged

APIS = ("v2", "v4")


@dataclass
class Totals:
    """What many schedules came to. `wrong` has the broken laws by seed."""

    schedules: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    limits: Counter[str] = field(default_factory=Counter)
    open: Counter[str] = field(default_factory=Counter)
    wrong: dict[int, list[str]] = field(default_factory=dict)
    seconds: float = 0.0

    def table(self) -> str:
        """The counts, by what they are."""
        lines = [f"{self.schedules:8}  schedules in {self.seconds:.0f} seconds"]
        lines += [f"{count:8}  {what}" for what, count in sorted(self.happened.items())]
        lines += [f"{count:8}  within the limits: {what}" for what, count in sorted(self.limits.items())]
        lines += [f"{count:8}  known and open: {what}" for what, count in sorted(self.open.items())]
        lines.append(f"{len(self.wrong):8}  schedules with something wrong")
        for seed, words in self.wrong.items():
            lines += [f"seed {seed}: {each}" for each in words]
        return "\n".join(lines)


def run(api: str, count: int, *, first_seed: int = 0, heard: Callable[[Totals], object] = lambda _: None) -> Totals:
    """Play so many schedules. `heard` hears of the totals after each."""
    totals, began = Totals(), time.monotonic()
    with Stage() as stage:
        for seed in range(first_seed, first_seed + count):
            played = Schedule(stage, api, seed).play()
            verdict = judged(played)
            totals.schedules += 1
            totals.happened += played.counts
            totals.limits += verdict.limits
            totals.open += verdict.open
            if verdict.wrong:
                totals.wrong[seed] = verdict.wrong
            totals.seconds = time.monotonic() - began
            heard(totals)
    return totals


def tell(api: str, seed: int) -> list[str]:
    """Play one schedule and print its story; what was wrong."""
    with Stage() as stage:
        played = Schedule(stage, api, seed).play()
        wrong = judged(played).wrong
        _print_story(played)
        print("\n".join([f"{api}, seed {seed}: {len(wrong)} wrong", *wrong]))
    return wrong


def _print_story(played: Played) -> None:
    for code, row in played.sheet.items():
        print(f"the sheet says {code}: {row}")
    by_seq = [(event.seq, f"{event.seq:5} {' ' * 14} {_words(event)}") for event in played.world.account.events]
    told = [(int(line.split(None, 1)[0]), line) for line in played.story]
    for _, line in sorted(by_seq + told):
        print(line)


def _words(event: object) -> str:
    from tests.crash.account import Event, texts_of

    assert isinstance(event, Event)
    who = f"command {event.by.command}" if event.by.command else "a colleague"
    late = f", late, sent at {event.by.seq}" if event.is_late else ""
    return f"element {event.id}: {who}{late}: {texts_of(event.before)} → {texts_of(event.after)}"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.schedules", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=10_000, metavar="N", help="how many, for each dialect")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the first one's seed")
    parser.add_argument("--api", choices=APIS, help="one dialect only")
    parser.add_argument("--only", type=int, metavar="SEED", help="one schedule, with its story")
    told = parser.parse_args()
    failed = False
    for api in (told.api,) if told.api else APIS:
        if told.only is not None:
            failed = bool(tell(api, told.only)) or failed
            continue

        def heard(totals: Totals, api: str = api) -> None:
            if told.seed + totals.schedules - 1 in totals.wrong:
                print(f"{api}: something is wrong with seed {[*totals.wrong][-1]}", file=sys.stderr, flush=True)
            if totals.schedules % 100 == 0:
                words = f"{api}: {totals.schedules} of {told.count} schedules, {len(totals.wrong)} wrong"
                print(words, file=sys.stderr, flush=True)

        totals = run(api, told.count, first_seed=told.seed, heard=heard)
        print(f"{api}\n{totals.table()}", flush=True)
        failed = failed or bool(totals.wrong)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
