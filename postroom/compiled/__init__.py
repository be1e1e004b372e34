"""The stages' own code as machine code, for who wants more events from a core (docs/adr/0079).

An option: the same source, compiled as it stands, and used by `postroom run` where the setting `compiled`
says yes. A build lies under a digest of that source, so one of another source is never found.
"""

from postroom.compiled.building import build
from postroom.compiled.place import MODULES, Place, place_of
from postroom.compiled.use import use_compiled

__all__ = ["MODULES", "Place", "build", "place_of", "use_compiled"]
