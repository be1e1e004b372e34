"""Nightly files of departments: what lies in the drops, checked, published, and answered."""
