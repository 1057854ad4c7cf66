"""Healing: what is damaged or gone here is brought from another copy of the same client's data, which is only read.

Nothing that the copy says is believed: a frame, a list, a manifest or a file is taken when its own hash is right, and
an entry when its seal is. What is good is durable before anything damaged is let go.
"""
