"""Servers on loopback that speak the providers' protocols, with an outbox to look at and faults on demand."""
