"""The filters as data, by what they are for."""
