"""Rules for the layout in which depth is folded into the batch axis."""
