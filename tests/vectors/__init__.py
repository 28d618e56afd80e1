"""Test vectors of docs/PROTOCOL.md, what wrote them, and what checks them with the openssl command alone."""
