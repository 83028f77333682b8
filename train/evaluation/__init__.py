"""Whole scans scored: ensembles, cross-validation, post-processing, reports."""
