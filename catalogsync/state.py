"""Where this program keeps what it must remember: journal, rate, locks, emulator data.

The user's state folder by default, wherever the command is started; ``CATALOGSYNC_STATE`` moves it.
"""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_state_path


def state_folder() -> Path:
    """The state folder, made where it is missing, readable by its owner only."""
    chosen = os.environ.get("CATALOGSYNC_STATE")
    folder = Path(chosen) if chosen else user_state_path("catalogsync", appauthor=False)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
