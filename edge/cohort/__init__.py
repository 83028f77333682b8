"""Cohorts: thousands of cases by processes, on this machine or many, begun again where they stopped."""
