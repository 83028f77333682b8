"""A finished run to a shipped set of pretrained weights."""
