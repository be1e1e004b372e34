"""Drops: directories where departments put files at night, and what is remembered of them (docs/files.md)."""
