"""Artifacts and other runtimes side by side on the same network: who runs, in turn, and what came out.

Each contestant lives in a process of its own, see ``worker.py``; the runtimes themselves are in
``export/bench/runtimes/``.
"""
