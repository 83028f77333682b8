"""A look at a dataset: what its cases are like, what sticks out, and how it is mended."""
