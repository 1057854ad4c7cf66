"""Configuration: the shapes of bk.toml at both ends and of clients/<client>.toml, and reading them strictly.

client and server are the shapes, load reads. All faults of a file come in one answer, each with its line and dotted
key; see faults.py. Loading a file without faults imports nothing that is not needed for it.
"""
