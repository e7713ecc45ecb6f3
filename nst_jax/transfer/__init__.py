"""From settings and arrays to a problem, to the engine, to pictures."""
