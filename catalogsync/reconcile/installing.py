"""What a person installs so that jobs run without her: a systemd unit, a crontab line, a Windows task. Text only."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from catalogsync.budget import parse_duration
from catalogsync.errors import UserError
from catalogsync.reconcile.project import ProjectFile, is_interval

KINDS = ("systemd", "cron", "windows")


def installed(kind: str, project: ProjectFile, names: Sequence[str]) -> str:
    """What is to be installed to keep jobs running. Raises UserError where a kind cannot say a schedule."""
    return {"systemd": _systemd, "cron": _cron, "windows": _windows}[kind](project, names)


def _command(project: ProjectFile, names: Sequence[str], *flags: str) -> list[str]:
    return [sys.executable, "-m", "catalogsync", "reconcile", *names, "--project", str(project.path.resolve()), *flags]


def _systemd(project: ProjectFile, names: Sequence[str]) -> str:
    """A service that keeps running; secrets come from a file that only its user can read."""
    command = " ".join(_systemd_word(word) for word in _command(project, names, "--keep", "--log-format", "json"))
    return f"""# Write this to ~/.config/systemd/user/catalogsync.service, then:
#   systemctl --user daemon-reload
#   systemctl --user enable --now catalogsync
#   loginctl enable-linger        # so that it also runs while you are not logged in
#   journalctl --user -u catalogsync
[Unit]
Description=catalogsync: {", ".join(names)}
Wants=network-online.target
After=network-online.target

[Service]
ExecStart={command}
WorkingDirectory={_systemd_word(str(project.folder))}
# Tokens as NAME=value lines, readable by you only: chmod 600 ~/.config/catalogsync.env
EnvironmentFile=-%h/.config/catalogsync.env
Restart=on-failure
RestartSec=60
# A run that is asked to stop finishes what is on its way.
KillSignal=SIGTERM
TimeoutStopSec=120

[Install]
WantedBy=default.target
"""


def _systemd_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if set(word) & set(" \t'\"") else escaped


def _cron(project: ProjectFile, names: Sequence[str]) -> str:
    """A line per job. Cron reads a percent sign as the end of the line, unless it is escaped."""
    lines = ["# Add these lines with `crontab -e`. Tokens: see docs/reconcile.md."]
    for name in names:
        when = _cron_time(project, name)
        zone = project.job(name).timezone
        if not is_interval(project.job(name).schedule):
            lines.append(f"# The hours are those of this machine's clock; {name} means those of {zone}.")
        command = shlex.join([*_command(project, [name], "--quiet")]).replace("%", "\\%")
        lines.append(f"{when} {command}")
    return "\n".join(lines) + "\n"


def _cron_time(project: ProjectFile, name: str) -> str:
    when = project.job(name).schedule.strip()
    if not when:
        raise UserError(f"{project.path}: {name} has no `schedule:`, so there is nothing to install")
    if not is_interval(when):
        return when
    minutes = parse_duration(when) / 60
    if minutes in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30):
        return "* * * * *" if minutes == 1 else f"*/{minutes:.0f} * * * *"
    hours = minutes / 60
    if hours in (1, 2, 3, 4, 6, 8, 12):
        return "0 * * * *" if hours == 1 else f"0 */{hours:.0f} * * *"
    if hours == 24:
        return "0 0 * * *"
    raise UserError(
        f"{project.path}: cron has no “every {when}”; write `schedule:` as a cron expression, as in */15 * * * *"
    )


def _windows(project: ProjectFile, names: Sequence[str]) -> str:
    """A task that starts with the person's session and keeps running."""
    program, *arguments = _command(project, names, "--keep")
    told = " ".join(_windows_word(word) for word in arguments)
    return f"""# Run these lines once in PowerShell. To take it away: Unregister-ScheduledTask -TaskName catalogsync
$action = New-ScheduledTaskAction -Execute {_powershell(program)} -Argument {_powershell(told)} `
    -WorkingDirectory {_powershell(str(project.folder))}
$settings = New-ScheduledTaskSettingsSet -MultipleInstances IgnoreNew -RestartCount 3 `
    -RestartInterval (New-TimeSpan -Minutes 1) -ExecutionTimeLimit ([TimeSpan]::Zero)
Register-ScheduledTask -TaskName catalogsync -Action $action -Settings $settings `
    -Trigger (New-ScheduledTaskTrigger -AtLogOn)
"""


def _windows_word(word: str) -> str:
    return f'"{word}"' if set(word) & set(" \t&|<>^") else word


def _powershell(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
