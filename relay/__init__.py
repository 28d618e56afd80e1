"""The relay: forwards frames between the seats of a room and reads none of them.

`switch` is pure (bytes in, bytes out, a beat instead of a clock); `limits` counts who comes too often; `connection` and
`server` own the sockets, TLS and the signals; `config` and `keys` own the files; `journal` is the log.  Of the core it
imports `wire` and `errors` alone, and no cryptographic library when it runs: what it can't read, it can't leak.
"""
