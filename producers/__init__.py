"""The department's side: files of events, the publisher, and synthetic departments to try it with.

Imports `schemas` only. Departments integrate over the wire (DESIGN §9): this package is one publisher among
others, not a library that they need.
"""
