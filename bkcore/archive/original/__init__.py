"""Stores of the original system: read where they lie, given back, and taken over into versions of our own.

Nothing is ever written into such a store. Facts about its files: the manual of the original, part 2.
"""
