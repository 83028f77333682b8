"""The methods as data, by kind; ``imaging.classical.registry`` is all of them."""
