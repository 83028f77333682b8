"""What the filters against noise compute with: the deviation of the noise, and total variation."""
