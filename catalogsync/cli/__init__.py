"""The command line: one file per command; the only place that prints.

Commands load when they are called, so that ``--help`` answers at once. Data goes to stdout, words to stderr.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
import traceback
from collections.abc import Mapping
from io import TextIOWrapper

import click

from catalogsync import __version__
from catalogsync.errors import BudgetSpent, CatalogSyncError

COMMANDS: Mapping[str, tuple[str, str]] = {
    "demo": ("demo", "Watch the main job on the embedded emulator, start to end."),
    "init": ("init", "Propose a mapping from a sheet and the catalog's fields."),
    "validate": ("validate", "Tell every problem of a sheet and its mapping at once."),
    "plan": ("plan", "Show what would change in the catalog."),
    "apply": ("apply", "Apply a stored plan, exactly as it was shown."),
    "import": ("import_", "Plan, show, ask, apply."),
    "export": ("export", "Write a catalog to a workbook or CSV file."),
    "reconcile": ("reconcile", "Run the jobs of catalogsync.yaml, once or on a schedule."),
    "history": ("history", "List what ran, and every change of a run."),
    "resume": ("resume", "Finish a run that ended early."),
    "undo": ("undo", "Take a run back."),
    "catalogs": ("catalogs", "List, add, update and delete the lists themselves."),
    "fields": ("fields", "Show a catalog's custom fields, types and options."),
    "login": ("login", "Log in to an account, or check its long-lived token."),
    "doctor": ("doctor", "Tell what is wrong with an account, and what to do."),
    "emulator": ("emulator", "Run the emulator as a server of its own."),
}
"""Every command: the module it lives in, and its line in the overview."""

USAGE_EXIT = 64

_CONTROLS = dict.fromkeys([*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0)], "�")


def printable(text: str) -> str:
    """Text from a sheet or an account as a terminal may get it: what would steer the terminal shows as a mark."""
    return text.translate(_CONTROLS)


class _LazyGroup(click.Group):
    """A group that imports a command when it is called, and none to print the overview."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"catalogsync.cli.{COMMANDS[cmd_name][0]}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="catalogsync")
def cli() -> None:
    """Makes a Kommo/amoCRM catalog say what a product sheet says.

    The account is set in the environment: CATALOGSYNC_URL and CATALOGSYNC_TOKEN, or `catalogsync login`.
    CATALOGSYNC_URL=emulator tries everything without an account.
    """


def main() -> None:
    """Run the command line and end the process with the documented exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    logging.getLogger().addHandler(logging.NullHandler())  # without a handler, libraries' warnings reach stderr
    code = run(sys.argv[1:])
    if any(not thread.daemon and thread is not threading.main_thread() for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # asked to stop, and an answer did not come in time: the journal knows
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command; its exit code. Nothing a user can mend ends in a traceback."""
    try:
        result = cli.main(args=arguments, prog_name="catalogsync", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return 130
    except SystemExit as stop:  # by a signal, while there was nothing to finish first, or by a second one
        click.echo("stopped", err=True)
        return stop.code if isinstance(stop.code, int) else 1
    except click.ClickException as error:
        error.show()
        return USAGE_EXIT
    except BudgetSpent as error:  # what writes reports it: here it was met while reading
        words = "Nothing was written; give it more, then run the command again"
        click.echo(f"error: {printable(str(error))}. {words}", err=True)
        return error.exit_code
    except CatalogSyncError as error:
        click.echo(f"error: {printable(str(error))}", err=True)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:
        traceback.print_exc()
        click.echo("This is a defect in catalogsync. Please report the lines above.", err=True)
        return 1
    return result if isinstance(result, int) else 0
