"""From a dataset's fingerprint to the plan of its training."""
