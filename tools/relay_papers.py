"""Writes the papers of the relay's package: nothing to keep in step by hand.

The man pages and the shell completion come from its command line and its configuration, the pages from those of the
sources.  `relay_papers.py DIRECTORY` puts them into DIRECTORY/man, DIRECTORY/bash-completion and DIRECTORY/doc.
"""

from __future__ import annotations

import argparse
import os.path
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import relay_server  # noqa: E402
from relay import config  # noqa: E402
from relay.template import configuration_text  # noqa: E402

_FILES = {
    "/etc/parley-relay/parley-relay.toml": "the configuration, parley-relay.toml(5)",
    "/etc/parley-relay/relay.key": "the key that invites name: keep a copy of it",
    "/etc/parley-relay/spare.key": "the spare key: move it to another computer",
    "/var/lib/parley-relay/relay.crt": "the certificate, which the relay makes anew by itself",
    "/run/parley-relay/control.sock": "where `stats` asks the relay",
}
_STATUS = {
    0: "all is well",
    1: "it can't serve or be asked, or `doctor` found something bad",
    2: "the command line makes no sense",
    78: "the configuration or the keys can't be used",
}
_PATHS = {"DIR": "-d", "FILE": "-f"}
_EXAMPLES = ("nats.conf", "nats-server.conf", "grafana.json", "haproxy.cfg")
_PAGES = {
    "docs/SELF_HOSTING.md": "SELF_HOSTING.md", "docs/CAPACITY.md": "CAPACITY.md",
    "docs/THREAT_MODEL.md": "THREAT_MODEL.md", "deploy/README.md": "OTHER_WAYS.md",
}  # fmt: skip
_IN_PACKAGE = _PAGES | {f"deploy/{name}": f"examples/{name}" for name in _EXAMPLES}
_OTHER_WAYS = "# Other ways to a relay\n"  # what stands before is about the sources


def _subcommands() -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    """Yield name, help and parser of each command."""
    for action in relay_server.parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, command in action.choices.items():
                yield name, helps[name], command


def _options(command: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    return (action for action in command._actions if action.dest != "help")


def _roff(text: str) -> str:
    """Return plain text as roff takes it; what stands in backticks is bold."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"`([^`]+)`", r"\\fB\1\\fR", text)
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def _item(term: str, text: str) -> str:
    return f".TP\n{term}\n{_roff(text)}\n"


def _usage(action: argparse.Action) -> str:
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    value = "" if action.nargs == 0 else f" \\fI{_roff(metavar)}\\fR"
    return f"\\fB{_roff(action.option_strings[0])}\\fR{value}" if action.option_strings else value.strip()


def manual() -> str:
    """Return parley-relay(8)."""
    parts = [
        f'.TH PARLEY\\-RELAY 8 "" "Parley {version()}" "System administration"\n',
        ".SH NAME\nparley\\-relay \\- relay for Parley, private chat rooms for friends\n",
        ".SH SYNOPSIS\n.B parley\\-relay\n\\fICOMMAND\\fR [\\fIOPTION\\fR ...]\n",
        ".SH DESCRIPTION\nA relay hands sealed blocks from one member of a room to another, and can read none of\n"
        "them. It keeps nothing of what passes through it.\n.PP\nThe Debian package makes its keys and starts it as\n"
        "the service\n"
        ".BR parley\\-relay ,\nwith\n.B parley\\-relay.socket\nfor the port.\n",
        ".SH COMMANDS\n",
    ]
    for name, text, command in _subcommands():
        options = list(_options(command))
        parts.append(
            _item(" ".join([f"\\fB{_roff(name)}\\fR", *map(_usage, options)]), f"{text[:1].upper()}{text[1:]}.")
        )
        if options:
            parts.append(".RS\n")
            parts += [_item(_usage(option), f"{option.help}.".replace("%%", "%")) for option in options]
            parts.append(".RE\n")
    parts.append(".SH FILES\n")
    parts += [_item(f".I {_roff(path)}", f"{text}.") for path, text in _FILES.items()]
    parts.append(".SH EXIT STATUS\n")
    parts += [_item(f".B {status}", f"{text}.") for status, text in _STATUS.items()]
    parts.append(
        ".SH SIGNALS\n.B SIGHUP\nreads configuration and certificate anew; nobody is disconnected, and what can't be\n"
        "used is refused.\n.B SIGTERM\ntells everybody to come back, delivers what was taken, and ends.\n"
        ".SH SEE ALSO\n.BR parley\\-relay.toml (5),\n.BR systemctl (1)\n.PP\n"
        "/usr/share/doc/parley\\-relay/SELF_HOSTING.md takes you through everything.\n"
    )
    return "".join(parts)


def configuration_manual() -> str:
    """Return parley-relay.toml(5): what the commented configuration says, key by key."""
    host, key = "chat.example.org", "A" * 42 + "E"
    text = configuration_text(
        host, ["0.0.0.0", "::"], str(config.SERVICE_CONTROL), certificate="relay.crt", spare_pin=key
    )
    head, *tables = re.split(r"^\[(\w+)\]\n", text, flags=re.MULTILINE)
    parts = [
        f'.TH PARLEY\\-RELAY.TOML 5 "" "Parley {version()}" "File formats"\n',
        ".SH NAME\nparley\\-relay.toml \\- configuration of a Parley relay\n",
        ".SH SYNOPSIS\n.I /etc/parley\\-relay/parley\\-relay.toml\n",
        f".SH DESCRIPTION\n{_roff(_prose(head))}\n",
    ]
    for name, content in zip(tables[::2], tables[1::2], strict=True):
        parts.append(f".SH [{name}]\n")
        for block in content.strip().split("\n\n"):
            keys = [(line, m[1]) for line in block.split("\n") if (m := re.match(r"(?:# )?(\w+) = ", line))]
            shown = "\n.TQ\n".join(_roff(_shown(line, found)) for line, found in keys)
            prose = _prose("\n".join(line for line in block.split("\n") if line not in dict(keys)))
            parts.append(f".TP\n{shown}\n{_roff(prose)}\n")
    parts.append(".SH SEE ALSO\n.BR parley\\-relay (8)\n")
    return "".join(parts)


def _shown(line: str, key: str) -> str:
    """Return a key as the page shows it: with its default or example, but for what is made for each relay."""
    return (
        f"`{key}` = 43 characters"
        if key in ("spare_pin", "relay_pass")
        else f"`{key}`{line.removeprefix('# ')[len(key) :]}"
    )


def _prose(lines: str) -> str:
    return re.sub(r"^# ?", "", lines, flags=re.MULTILINE).strip()


def completion() -> str:
    """Return a completion for bash."""
    commands = {name: [o for c in _options(command) for o in c.option_strings] for name, _, command in _subcommands()}
    takes = {flag: "" for flag in _PATHS.values()}
    for _, _, command in _subcommands():
        for option in _options(command):
            if option.option_strings and option.metavar in _PATHS:
                flag, names = _PATHS[str(option.metavar)], "|".join(option.option_strings)
                takes[flag] = "|".join(sorted({*filter(None, takes[flag].split("|")), names}))
    files = "\n".join(
        f'        {names}) mapfile -t COMPREPLY < <(compgen {flag} -- "$current"); return ;;'
        for flag, names in takes.items()
    )
    cases = "\n".join(
        f'        {name}) words="{" ".join([*options, "--help"])}" ;;' for name, options in commands.items()
    )
    return f"""\
# bash completion for parley-relay
_parley_relay() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} words
    compopt -o filenames
    case ${{COMP_WORDS[COMP_CWORD - 1]}} in
{files}
    esac
    words="{" ".join(commands)}"
    if [ "$COMP_CWORD" -gt 1 ]; then
        case ${{COMP_WORDS[1]}} in
{cases}
        *) words="" ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -F _parley_relay parley-relay
"""


def page(source: str) -> str:
    """Return a page of the sources as the package has it: a link leads to what lies beside it, or is but words."""

    def led(link: re.Match[str]) -> str:
        text, target = link.groups()
        path, mark, anchor = target.partition("#")
        if not path or ":" in path:
            return link[0]
        file = os.path.normpath(os.path.join(os.path.dirname(source), path))
        named = os.path.basename(text) == os.path.basename(file)  # the link's text is where it leads
        if place := _IN_PACKAGE.get(file):
            return f"[{place if named else text}]({place}{mark}{anchor})"
        return f"`{file}` in Parley's sources" if named else f"{text} (`{file}` in Parley's sources)"

    whole = (ROOT / source).read_text("utf-8")
    if source == "deploy/README.md":
        whole = _OTHER_WAYS + whole.split(f"\n{_OTHER_WAYS}", 1)[1]
    return re.sub(r"\[([^\]\n]+)\]\(([^)\s]+)\)", led, whole)


def version() -> str:
    """Return Parley's version, from the package's changelog."""
    first = (ROOT / "deploy" / "debian" / "changelog").read_text("utf-8").split("\n", 1)[0]
    return first.split("(")[1].split(")")[0]


def main() -> None:
    """Write them."""
    place = Path(sys.argv[1])
    for name, text in (
        ("man/parley-relay.8", manual()),
        ("man/parley-relay.toml.5", configuration_manual()),
        ("bash-completion/parley-relay", completion()),
        *((f"doc/{name}", page(source)) for source, name in _PAGES.items()),
    ):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
