"""Unique identifiers that are the same for the same reason."""

import hashlib
import uuid


def uid_of(*parts: str) -> str:
    """A UID derived from a UUID (PS3.5 B.2) that is the digest of some text."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"
