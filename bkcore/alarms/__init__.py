"""Alarms: what is wrong at an end, worked out after a tick when anything moved or came due, and told to people."""
