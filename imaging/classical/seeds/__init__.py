"""Seeds: what a person draws, as marks on a grid, and what a few of them say of every voxel."""
