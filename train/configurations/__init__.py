"""Every configuration that applies to a dataset, planned, trained and scored, and the choice among them."""
