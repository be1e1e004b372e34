"""A contract of one's own: made from questions or options, and tried before anybody has it."""
