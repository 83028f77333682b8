"""The HTTP server of a review."""
