"""Housekeeping: what is kept for how long, what the disks and tables hold, and which of them want care."""
