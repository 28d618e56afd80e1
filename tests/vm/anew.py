"""Scenes in which the server is gone and another has its address: a backup put back, a key that is lost or stolen.

Each server is a Debian in which nothing was done, set up by the page; what is done then stands there, too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from page import demand, five_commands, follow, passage, tell
from play import Play
from scenes import KEY
from typed import commands

from chatcore.invite import RelayAddress

BACKUP = "parley-relay-backup.tar"
LATER = "key: /etc/parley-relay/spare.key lies beside it"  # what doctor says of a spare key that was only just made


def on_another_server(play: Play, newcomer: str, then: Callable[[], object], *reminders: str) -> RelayAddress:
    """Lose the server, set up another by the page, and do something there; return its line.

    Everybody has to be back with the invite they have, which names the keys of the first: also whoever comes anew.
    """
    first = play.invite.relay

    def cause() -> None:
        play.machine.anew()
        line = RelayAddress.parse(follow(play.desk, play.machine, five_commands()))
        demand(not set(line.pins) & set(first.pins), "the new server has keys of the old one")
        then()

    back = play.again(cause)
    play.newcomer(newcomer)
    play.content(*reminders)
    play.relay = RelayAddress.parse(play.machine.run("parley-relay line").strip())
    tell(f"  {back}; {newcomer} came, too: with the invite of the first server")
    return play.relay


def do(play: Play, command: str, *, there: bool = False) -> None:
    """Do what the page says, and tell so."""
    (play.desk.type_there if there else play.desk.type)(command)
    tell(f"  {command}")


def restored(play: Play) -> None:
    """The server is lost, and there is a backup: the relay on another server, by the page, is the same."""
    backup, restore = commands(passage("\n## Backup and restore\n", "\n## "))
    (move_spare,) = commands(passage("It will at least remind you", "\nThe firewall"))
    for command in (move_spare, backup):
        do(play, command)
    demand(Path(play.desk.directory, BACKUP).stat().st_size < 100_000, "a backup isn't small")
    line = on_another_server(play, "carol", lambda: do(play, restore))
    demand(line == play.invite.relay, "it is another relay")


def key_lost(play: Play) -> None:
    """The server is lost, with its key: the spare key on another server, by the page, takes its place."""
    rotate, put_back, _ = commands(passage("**The key is lost**", "\n**"))
    play.desk.type(f"tar -x -f {BACKUP} --strip-components=1 parley-relay/parley-relay.toml")

    def put_back_and_rotate() -> None:
        play.desk.type(f"scp parley-relay.toml spare.key root@{play.relay.host}:")
        do(play, put_back, there=True)
        do(play, rotate, there=True)

    line, first = on_another_server(play, "dave", put_back_and_rotate, LATER), play.invite.relay
    demand(line.pins[0] == first.pins[1], "the spare key is not the relay's key")
    demand(line.pins[1] not in first.pins, "there is no new spare key")
    demand(play.machine.run(f"stat -c '%U %G %a' {KEY}").strip() == "root parley-relay 640", "the key has wrong rights")


def key_without_its_configuration(play: Play) -> None:
    """The same, and of the first server nothing is left but the spare key."""
    _, _, put_in_place = commands(passage("**The key is lost**", "\n**"))

    def put_it_in_place() -> None:
        play.desk.type(f"scp spare.key root@{play.relay.host}:")
        do(play, put_in_place, there=True)

    line = on_another_server(play, "erin", put_it_in_place, LATER)
    demand(line.pins[0] == play.invite.relay.pins[1], "the spare key is not the relay's key")
