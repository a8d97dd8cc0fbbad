"""Contacts that are perhaps the same: runs that look for them, the pairs that they find, what people decide of these.

Merging two of them is in models/contacts/merging.py. Weights tell of the values that were compared: all of it is for
who may edit contacts and sees every column.
"""
