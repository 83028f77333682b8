"""The ground that every package stands on: errors, JSON records, atomic files, limits, command-line habits, pages."""
