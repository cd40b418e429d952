"""The local stack: the gateway, the runtime, the mappings, the scheduler, and what is changed in moto."""
