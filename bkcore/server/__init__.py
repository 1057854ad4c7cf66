"""`bkcore serve`: an embedded ssh server that does what sshd does with the same authorized_keys, and no more."""
