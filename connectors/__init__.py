"""The outside world: one file per outside thing. May import `schemas`, never the processors' insides."""
