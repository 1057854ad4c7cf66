"""Configuration: the shapes of bk.toml at both ends and of clients/<client>.toml, and reading them strictly.

All faults of a file come in one answer, each with its line and dotted key; see faults.py. Loading a file without faults
imports nothing that is not needed for it.
"""

from bkcore.config.client import ClientConfig, Mail, Schedule, ServerLink, SourceOptions
from bkcore.config.example import example
from bkcore.config.load import faults_of_client, load_client, load_record, load_server, parse_record, role_of
from bkcore.config.server import Alarm, ClientRecord, Keep, Maintenance, ServerConfig, TransferLimits
from bkcore.config.values import AbsolutePath, Duration, Program, Share, Size, Table

__all__ = [
    "AbsolutePath",
    "Alarm",
    "ClientConfig",
    "ClientRecord",
    "Duration",
    "Keep",
    "Mail",
    "Maintenance",
    "Program",
    "Schedule",
    "ServerConfig",
    "ServerLink",
    "Share",
    "Size",
    "SourceOptions",
    "Table",
    "TransferLimits",
    "example",
    "faults_of_client",
    "load_client",
    "load_record",
    "load_server",
    "parse_record",
    "role_of",
]
