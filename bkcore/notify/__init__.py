"""Telling people: what is wrong is opened, told once, and told again when it is over. Messages wait until they go out.

What is wrong is worked out elsewhere (bkcore.alarms); here is only what was told of it (book), how that is said
(message), and the way out (outgoing, by the sendmail program).
"""
