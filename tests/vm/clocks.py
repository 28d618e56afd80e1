"""A scene for a machine with a clock of its own: it is wrong for the whole system, for a relay that runs or starts.

What puts it right in the end is the cure that doctor names, with a time server here (NTP, RFC 5905).
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator

from client_help import until
from guests import certificate_at, seated
from machine import HERE
from page import demand, tell
from play import PATIENCE_S, Play

from relay.keys import pin_of_der

DAY_S = 86_400
NTP_PORT, NTP_BEGIN_S = 123, 2_208_988_800  # 1900-01-01, in seconds before 1970
ANSWER, STRATUM, PRECISION = 0x24, 1, -20  # version 4, a server's; which has a clock of its own, good to 2**-20 s
# How wrong, and what doctor says of it.
AHEAD, LONG_AGO, FAR_AHEAD = "a day ahead", "in 1970", "400 days ahead"
SAID = {
    AHEAD: "nothing here keeps it right; compare it with yours",
    LONG_AGO: "it says 1970-01-01, before this relay was made",
    FAR_AHEAD: "nothing here keeps it right; compare it with yours",
}


def wrong_s(how: str) -> float:
    """Return what such a clock says now."""
    # Linux lets no clock say less than the time for which it runs.
    return {AHEAD: time.time() + DAY_S, LONG_AGO: DAY_S / 2, FAR_AHEAD: time.time() + 400 * DAY_S}[how]


def differs_s(play: Play, from_s: float) -> float:
    """Return by how much the machine's clock differs from that."""
    return abs(float(play.machine.run("date +%s")) - from_s)


def set_clock(play: Play, to_s: float) -> None:
    """Set the machine's clock."""
    play.machine.run(f"date -s @{to_s:.0f}")
    demand(differs_s(play, to_s) < PATIENCE_S, "the machine's clock wasn't set")


@contextlib.contextmanager
def time_server() -> Iterator[None]:
    """Tell everybody who asks here what time it is."""
    end = threading.Event()

    def stamp() -> bytes:
        return struct.pack("!Q", int((time.time() + NTP_BEGIN_S) * 2**32))

    def serve() -> None:
        while not end.is_set():
            with contextlib.suppress(TimeoutError):
                asked, who = sock.recvfrom(1024)
                words = struct.pack("!BBbbII4s", ANSWER, STRATUM, asked[2] % 16, PRECISION, 0, 0, b"HERE")
                sock.sendto(words + stamp() + asked[40:48] + stamp() + stamp(), who)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HERE, NTP_PORT))
        sock.settimeout(0.2)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()


def of_clock(play: Play) -> str:
    """Return what doctor says of the clock; it has to find the relay, too."""
    said = play.asked_inside()
    (line,) = (line for line in said.splitlines() if line[6:].startswith("clock: "))
    demand("ok    port 7256" in said, f"doctor finds no relay:\n{said}")
    return line


def goes_on(play: Play, how: str) -> None:
    """Demand that people talk and come, that the relay tells its counts, and that doctor names what is wrong."""
    play.talk()
    demand(seated(play.relay, 30), f"{how} nobody gets a seat")
    demand("connections" in play.machine.run("parley-relay stats"), f"{how} the relay tells no counts")
    line = of_clock(play)
    demand(SAID[how] in line and "timedatectl set-ntp true" in line, f"{how} doctor says: {line}")
    tell(f"  {how}:\n      {line}")


def wrong_clock(play: Play) -> None:
    """The clock of the whole system is wrong, while the relay runs and when it starts; then doctor's cure is used."""
    machine, pin, served = play.machine, play.invite.relay.pins[0], certificate_at(play.relay)
    machine.run("timedatectl set-ntp false")
    pid, states = machine.show("parley-relay", "MainPID"), play.states()
    for how in SAID:
        set_clock(play, wrong_s(how))
        goes_on(play, how)
    # by the clock below it: however long the command takes to get there, the two agree
    machine.run("date -s @$(cat /sys/class/rtc/rtc0/since_epoch)")
    demand(differs_s(play, time.time()) < PATIENCE_S, "the machine's clock wasn't set")
    play.talk()
    unchanged = (pid, states, served) == (
        machine.show("parley-relay", "MainPID"),
        play.states(),
        certificate_at(play.relay),
    )
    demand(unchanged, "somebody had to go for that, or the certificate changed")
    line = of_clock(play)
    demand(line.startswith("ok") and "its hypervisor's says the same" in line, f"right again, doctor says: {line}")
    tell(f"  right again: nobody had to go, and the certificate is what it was\n      {line}")

    for how in SAID:
        set_clock(play, wrong_s(how))
        tell(f"  started {how}: {play.again(lambda: machine.run('systemctl restart parley-relay'))}")
        demand((certificate_at(play.relay) != served) == (how == FAR_AHEAD), f"{how} the certificate is the wrong one")
        goes_on(play, how)
    new = certificate_at(play.relay)
    demand(pin_of_der(new) == pin, "the new certificate is of another key")

    pid, states = machine.show("parley-relay", "MainPID"), play.states()
    directory = "/etc/systemd/timesyncd.conf.d"
    machine.run(f"install -d {directory} && printf '[Time]\\nNTP={HERE}\\n' >{directory}/here.conf")
    (cure,) = re.findall(r"timedatectl \S+ \w+", of_clock(play))
    with time_server():
        machine.run(cure)
        until(lambda: differs_s(play, time.time()) < PATIENCE_S, "the clock is right", PATIENCE_S)
    play.talk()
    play.newcomer("carol")
    tell(f"  right again by {cure}:\n      {of_clock(play)}")
    demand("so it is wrong, or was" in of_clock(play), "doctor doesn't see that the certificate is from the future")
    machine.run("systemctl reload parley-relay")
    until(lambda: certificate_at(play.relay) != new, "the relay makes the certificate anew", PATIENCE_S)
    line = of_clock(play)
    tell(f"  and after a reload:\n      {line}")
    demand(line.startswith("ok"), "doctor isn't content with a clock that is kept right")
    demand(pin_of_der(certificate_at(play.relay)) == pin, "the certificate is of another key")
    play.talk()
    demand((pid, states) == (machine.show("parley-relay", "MainPID"), play.states()), "somebody had to go for that")
