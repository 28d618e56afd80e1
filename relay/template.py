"""The configuration as `init` writes it: every key explained, and all that need not be said behind a #."""

from __future__ import annotations

from chatcore.wire import DEFAULT_PORT
from relay import keys
from relay.limits import Limits


def configuration_text(host: str, listen: list[str], service_control: str, *, certificate: str, spare_pin: str) -> str:
    """Return a configuration for these hosts, to be dialled and to listen on, in which all else is left as it is.

    `service_control` is where a relay that systemd starts is asked for its counts; `certificate` its path, absolute or
    from the directory of the configuration; `spare_pin` the pin of the spare key, in base64url, or "".
    """
    limits = Limits()
    quoted = ", ".join(f'"{address}"' for address in listen)
    return f"""\
# Configuration of a Parley relay.  Every key may be left out; a key behind a # shows its default or an example.
# After a change: `check-config`, then send SIGHUP (`systemctl reload parley-relay`).  Nobody is disconnected.
# Only listen, port, event_loop, control, [metrics] and [engine] need a restart.

[relay]
# What people dial: the name or IP address of this computer as others see it.  It stands in every invite.
host = "{host}"

# Where the relay listens: ["0.0.0.0", "::"] for every address of this computer, ["127.0.0.1"] for itself alone.
# Where systemd listens for it (parley-relay.socket), that unit says so, and `port` must be the same in both.
listen = [{quoted}]
port = {DEFAULT_PORT}

# What people dial, if that is another port: that of a proxy in front of the relay, say.
# public_port = 443

# The key, beside this file, and its certificate, which the relay makes anew in its last month.  Keep a copy of the
# key: invites name it.
certificate = "{certificate}"
key = "{keys.KEY_NAME}"

# The pin of the spare key.  `rotate` puts that key into the place of this one if it is ever lost or stolen, and
# invites made from now on go on working.  Keep {keys.SPARE_NAME} somewhere else, or whoever takes one has both.
{f'spare_pin = "{spare_pin}"' if spare_pin else '# spare_pin = "43 characters"'}

# Who may use this relay: without a pass everyone who can reach it.  It becomes part of the line for invites.
# relay_pass = "{keys.new_relay_pass()}"

# Set this only if a program in front of the relay does TLS; `run --plaintext` then serves other addresses, too.
# Put the pin of that program's key into spare_pin, and its address into proxy_from: else all seem to come from there.
# behind_tls_terminator = false

# Where a proxy in front of the relay connects from.  From there every connection must begin with a PROXY header of
# version 2, and the address in it is the one that counts; from anywhere else such a header is refused.
# proxy_from = ["127.0.0.1", "10.0.0.0/8"]

# "auto" takes uvloop where it is installed; or "asyncio", or "uvloop".
# event_loop = "auto"

# "off", "info" or "debug".  At no level is there an address, a room or any content in the log.
# log = "info"

# "text", or "json" for one object in each line.
# log_format = "text"

# The unix socket, for the relay's own user alone, at which `stats` asks for counts.  Without it there is one where
# systemd makes a place for it ({service_control}), and else none.
# control = "control.sock"

[metrics]
# Counts for Prometheus (/metrics) and health (/healthz, /readyz), for this computer alone: counts, and nothing of
# anybody.  But who keeps them sees later when people were here.  Without this line nothing listens.
# listen = "127.0.0.1:9256"

[engine]
# Many relays that serve the same rooms meet at a NATS server or two (docs/SELF_HOSTING.md, "Many relays").  Without
# this line the relay is alone and opens no connection.  Use tls:// everywhere but in a private network.
# nats = ["tls://relay-1:PASSWORD@10.0.0.5:4222", "tls://relay-1:PASSWORD@10.0.0.6:4222"]

# Which of them this is: a name of its own for each relay, and the same cluster for all that belong together.
# name = "relay-1"
# cluster = "parley"

# Whose word counts for the engine's certificate; and what this relay shows to the engine, if the engine asks for it.
# ca = "engine-ca.pem"
# certificate = "engine-relay.pem"
# key = "engine-relay-key.pem"

[limits]
# All together.  There are never more rooms than connections.
# max_connections = {limits.max_connections}
# max_seats_per_room = {limits.max_seats_per_room}

# For one address (of IPv6: one /64).  0 is no limit.
# max_connections_per_address = {limits.max_connections_per_address}
# max_joins_per_minute_per_address = {limits.max_joins_per_minute_per_address}

# For one seat: how fast it is read, in all and for each other in its room (0 is no limit), and how much may wait for
# it: above that, who sends it most loses blocks (they are sent again later), and a seat that reads nothing at all is
# closed.
# max_bytes_per_second_per_seat = {limits.max_bytes_per_second_per_seat}
# max_bytes_per_second_per_reader = {limits.max_bytes_per_second_per_reader}
# max_unsent_bytes_per_seat = {limits.max_unsent_bytes_per_seat}

# What may wait for all seats together before the worst of them is closed.
# max_unsent_bytes = {limits.max_unsent_bytes}

# Seconds: to join after connecting; until a silent seat is asked for a sign of life, and until it is closed;
# until a seat is closed for which something waits, and which takes none of it.
# join_deadline_s = {limits.join_deadline_s}
# ping_after_s = {limits.ping_after_s}
# silence_s = {limits.silence_s}
# laggard_s = {limits.laggard_s}
"""
