"""Scans and labels from files and to files."""
