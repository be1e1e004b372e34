"""`python -m postroom.warm_up`: what makes many starts of local stacks cheap, as a run of all tests wants."""

from __future__ import annotations

from connectors.warm_up import warm_up
from postroom.console import ConsoleReport
from postroom.settings import settings

if __name__ == "__main__":
    warm_up(settings().cache_dir, ConsoleReport())
