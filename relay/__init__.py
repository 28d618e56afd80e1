"""The relay: forwards frames between the seats of a room and reads none of them.

`switch` is pure (bytes in, bytes out, a beat instead of a clock); `limits` counts who comes too often; `proxy` reads
for whom a proxy connects; `connection` and `server` own the sockets and TLS; `service` owns the signals, `config`,
`template` and `keys` the files; `system` is what the relay asks of the system; `journal` is the log, `counts` the
numbers, `monitor` the pages for who runs it, and `doctor` looks for what is wrong.  Of the core it imports `wire` and
`errors` alone, and no library for cryptography when it runs: what it can't read, it can't leak.
"""
