"""How good are generated defects? Needs torch."""
