"""Stand-ins for GOV.UK services, built from their public documentation: what tests and examples talk to.

None of them is the service, and each says so: in its file's name, its process's and its log's.
"""
