"""The front door: command line, configuration and composition. It wires the other packages and holds no rule."""
