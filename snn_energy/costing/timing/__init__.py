"""How long it takes: pure functions from counts and a profile's [latency] table to cycles, seconds and bottlenecks."""
