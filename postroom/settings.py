"""The settings of this command, read once, with their warnings said once."""

from __future__ import annotations

from functools import cache

from postroom.config import Settings, load_settings
from postroom.console import say


@cache
def settings() -> Settings:
    """Return the settings from the environment and the file in the current directory."""
    loaded = load_settings()
    for warning in loaded.warnings:
        say(f"warning: {warning}")
    return loaded
