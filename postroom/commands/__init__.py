"""One file per noun. Each has `register(app)`, which `postroom.cli` finds by itself.

Imports that cost time (Kafka, Avro, rich) belong inside the functions, so that `postroom --help` is quick.
"""
