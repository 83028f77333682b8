"""The front door's own sub-commands, one a file; like ``zoo/cli.py`` they may use the other packages when they run."""
