"""The demo: one citizen's story, told on a real installation."""
