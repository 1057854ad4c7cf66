"""The control line: git over ssh, client to server. Requests go up, receipts come down.

The exit status of a push is wrong in both directions, so it is never the answer: a receipt that was read back is.
client: one exchange. server: what a push may hold, what the branch says, the receipts. Formats in DESIGN.md.
"""
