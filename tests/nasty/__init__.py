"""Nasty event sets: a seeded generator, worlds for it to speak in, a shrinker and a count of what was met."""

from tests.nasty.generate import SMALL, NastySet, nasty
from tests.nasty.shrink import case_text, shrunk
from tests.nasty.teller import Knobs

__all__ = ["SMALL", "Knobs", "NastySet", "case_text", "nasty", "shrunk"]
