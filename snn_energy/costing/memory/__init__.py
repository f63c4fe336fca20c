"""Energy of moving data: a hierarchy of memories, what is reused, how spikes are stored."""
