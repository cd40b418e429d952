"""Decides what becomes of an envelope's messages before anything is sent: the steps, one file each, and the plan."""
