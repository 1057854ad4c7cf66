"""How a server fetches: one retriever a method, each safe to call again after it was cut."""

from collections.abc import Mapping

from bkcore.retrieval.base import Fetch, Retriever, attempt_refs
from bkcore.retrieval.git import Git
from bkcore.retrieval.rsync import Rsync
from bkcore.retrieval.sftp import Sftp
from bkcore.state import Method

__all__ = ["METHODS", "Fetch", "Retriever", "attempt_refs"]

METHODS: Mapping[Method, Retriever] = {Method.SFTP: Sftp(), Method.RSYNC: Rsync(), Method.GIT: Git()}
