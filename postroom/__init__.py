"""The front door: command line, configuration, composition. It wires the other packages, holds no rule."""
