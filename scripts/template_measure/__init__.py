"""How linkable protected templates are, and what protection costs in accuracy, on real faces."""
