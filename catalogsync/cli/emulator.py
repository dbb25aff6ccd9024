"""``catalogsync emulator``: the remote API as a server on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import click

from catalogsync.cli import common
from catalogsync.errors import UserError


class _FaultText(click.ParamType[str]):
    """A fault as text. In the environment several are separated by semicolons: each one holds blanks."""

    name = "TEXT"
    envvar_list_splitter = ";"


@click.command("emulator")
@common.option("--port", type=click.IntRange(0, 65535), default=0, help="The port; 0 takes a free one.")
@common.option("--db", type=click.Path(path_type=Path), help="Keep the account in this file between starts.")
@common.option("--seed", type=click.Path(path_type=Path), help="Fill a new account from a YAML or JSON file.")
@common.option(
    "--rps", type=click.FloatRange(0), default=7.0, show_default=True, help="Requests per second; 0: no limit."
)
@common.option(
    "--knob", "knobs", multiple=True, metavar="NAME=VALUE", help="Answer an open question of the API otherwise."
)
@common.option(
    "--fault",
    "faults",
    type=_FaultText(),
    multiple=True,
    metavar="TEXT",
    help='Something goes wrong: "504 after POST nth=2".',
)
@common.option(
    "--faults-file", type=click.Path(path_type=Path), help="Faults from a file, one per line; # begins a comment."
)
@common.json_option
def command(
    port: int,
    db: Path | None,
    seed: Path | None,
    rps: float,
    knobs: tuple[str, ...],
    faults: tuple[str, ...],
    faults_file: Path | None,
    as_json: bool,
) -> int:
    """Run the emulator until interrupted. Prints its address and its token."""
    from catalogsync.cli.bundled import bundled
    from catalogsync.emulator.database import StoreError
    from catalogsync.emulator.faults import FaultError, read_faults
    from catalogsync.emulator.knobs import KnobError, Knobs
    from catalogsync.emulator.seed import SeedError
    from catalogsync.emulator.server import Emulator

    seed = seed or (None if db and db.exists() else bundled("samples", "stationery.seed.yaml"))
    try:
        emulator = Emulator(db, seed=seed, port=port, rps=rps, knobs=Knobs.from_text(knobs))
        for fault in faults:
            emulator.fault(fault)
        for read in read_faults(faults_file) if faults_file else []:
            emulator.fault(read)
        emulator.start()
    except (StoreError, FaultError, KnobError, SeedError, OSError) as error:
        raise UserError(f"the emulator cannot start: {error}") from None

    def tell() -> None:
        if as_json:
            click.echo(json.dumps({"url": emulator.url, "token": emulator.token}))
        else:
            click.echo(f"CATALOGSYNC_URL={emulator.url}\nCATALOGSYNC_TOKEN={emulator.token}")
        common.say("The emulator is running; Ctrl+C stops it. Set these two in the terminal where you use catalogsync.")

    return 128 + emulator.serve_forever(tell)
