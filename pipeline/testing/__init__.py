"""Public tools for tests: a driver without a broker, and brokers to start."""
