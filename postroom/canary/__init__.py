"""The canary: an event, a view and a withdrawal of nobody, once a round, to see that they arrive."""
