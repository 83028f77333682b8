"""The pieces that the networks share; each serves 2D and 3D by its ``Style``."""
