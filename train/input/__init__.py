"""Preprocessed cases to batches of augmented patches."""
