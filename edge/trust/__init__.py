"""Whether an artifact and its results can be trusted: checksums, signatures."""
