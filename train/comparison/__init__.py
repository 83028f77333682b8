"""Several scored runs side by side, case by case."""
