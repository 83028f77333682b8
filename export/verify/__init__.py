"""The gate: how far an artifact is from its network, and what is tried when that is too far."""
