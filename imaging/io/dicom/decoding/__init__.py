"""From compressed frames to stored values: limits first, then the decoder for them that can be trusted most."""
