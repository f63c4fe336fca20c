"""The other side: what the same network costs as an ANN, counted by the same rules."""
