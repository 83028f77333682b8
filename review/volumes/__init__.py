"""Scans of a review: where they come from, and how they and their labels travel to the page and back."""
