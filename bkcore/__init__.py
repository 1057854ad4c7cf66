"""The Backup System's library and headless command: queues, control line, retrieval, archives."""

__version__ = "0.1.0"
