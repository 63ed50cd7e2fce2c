"""The rules about keys, devices and tiers. Pure: no I/O, no clock, no logging."""
