"""The sub-commands of ``python -m export``, one a file."""
