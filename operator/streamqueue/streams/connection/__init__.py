"""Connections to Redis: one client per endpoint, however many queues; standalone, Sentinel or cluster alike."""

from streamqueue.streams.connection.address import read_url
from streamqueue.streams.connection.cluster import call, node_of, primaries, send_many
from streamqueue.streams.connection.connect import connect
from streamqueue.streams.connection.credentials import credentials_for
from streamqueue.streams.connection.pool import MAX_CONNECTIONS, block_for
from streamqueue.streams.connection.url_file import ServerChanged, UrlFile

__all__ = [
    "MAX_CONNECTIONS",
    "ServerChanged",
    "UrlFile",
    "block_for",
    "call",
    "connect",
    "credentials_for",
    "node_of",
    "primaries",
    "read_url",
    "send_many",
]
