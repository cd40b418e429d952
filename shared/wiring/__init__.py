"""Where stores, adapters of AWS and the dispatcher are made; functions, tests and benchmarks take them from here."""
