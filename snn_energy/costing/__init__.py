"""What it costs: pure functions from counts and prices to energies."""
