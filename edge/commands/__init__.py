"""The sub-commands of ``zoo-edge``, one a file."""
