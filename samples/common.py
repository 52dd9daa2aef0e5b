"""What the sample programs share: the options that DCMTK and pynetdicom users know, and how a program logs and ends."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading

import security

from ldicomnet import IpType, LDicomAssociate, LDicomError, LDicomNet, LDicomUsageError, Timeouts, __version__

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
UNCOMPRESSED = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG)


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Help that shows defaults, where there is something to show."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        is_switch = action.nargs == 0 or action.default in (None, [])
        return action.help if is_switch else super()._get_help_string(action)


def title(text: str) -> str:
    """An AE title given as an option."""
    request = LDicomAssociate(True)
    try:
        request.set_called(text)
        return request.get_called()
    except LDicomUsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def port(text: str) -> int:
    """A port given as an argument."""
    if text.isascii() and text.isdigit() and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port from 0 to 65535")


def seconds(text: str) -> float:
    """A time given as an option."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if 0 < value <= 1e6:
        return value
    raise argparse.ArgumentTypeError(f"{text!r} is not a time in seconds above 0, up to a million")


def number(text: str) -> int:
    """A number of associations given as an option."""
    if text.isascii() and text.isdigit() and 0 < int(text) <= 1_000_000:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to a million")


def pdu_length(text: str) -> int:
    """A maximum PDU length given as an option."""
    if text.isascii() and text.isdigit() and (int(text) == 0 or 4096 <= int(text) <= 1 << 30):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not 0 (no limit), or a length from 4096 on")


def parser(description: str, ours: str, called: str | None) -> argparse.ArgumentParser:
    """The options of every sample.

    Args:
        description: what the program does.
        ours: default of our own AE title.
        called: default of the peer's AE title; None for a server, which has no such option.
    """
    made = argparse.ArgumentParser(description=description, formatter_class=_Help, prefix_chars="-+")
    made.add_argument("--version", action="version", version=f"ldicomnet {__version__}")
    group = made.add_argument_group("application entity titles")
    group.add_argument("-aet", "--aetitle", metavar="TITLE", type=title, default=ours, help="our AE title")
    if called is not None:
        group.add_argument("-aec", "--call", metavar="TITLE", type=title, default=called, help="AE title of the peer")
    group = made.add_argument_group("network")
    group.add_argument("-to", "--timeout", metavar="S", type=seconds, default=30.0, help="time to connect")
    acse = 30.0 if called is not None else 5.0
    group.add_argument("-ta", "--acse-timeout", metavar="S", type=seconds, default=acse, help="time to associate")
    group.add_argument("-td", "--dimse-timeout", metavar="S", type=seconds, default=60.0, help="time for a response")
    group.add_argument("-pdu", "--max-pdu", metavar="N", type=pdu_length, default=131072, help="longest PDU received")
    if called is None:
        group.add_argument(
            "--max-associations", metavar="N", type=number, default=2048, help="associations at once; more are rejected"
        )
        group.add_argument(
            "--drain", metavar="S", type=seconds, default=5.0, help="time for associations to end after SIGTERM"
        )
        group.add_argument("--bind", metavar="ADDRESS", default="*", help="own address to listen on, * for all")
        made.add_argument("port", type=port, help="port to listen on; 0 chooses one and prints it")
    security.add(made, is_server=called is None)
    group = made.add_argument_group("output")
    group.add_argument("-v", "--verbose", action="store_true", help="say what happens")
    group.add_argument("-d", "--debug", action="store_true", help="say everything")
    return made


def configure(net: LDicomNet, options: argparse.Namespace) -> None:
    """Deadlines and limits of `net` from the options."""
    if "max_associations" in options:
        net.limits.associations = options.max_associations
    net.timeouts = Timeouts(
        connect=options.timeout,
        secure=options.acse_timeout,
        artim=options.acse_timeout,
        association=options.acse_timeout,
        release=options.acse_timeout,
        dimse=options.dimse_timeout,
        pdu=min(options.acse_timeout, options.dimse_timeout),
        send=options.dimse_timeout,
    )


def associate(options: argparse.Namespace) -> LDicomAssociate:
    """An association request with the titles and the maximum length of the options; contexts are to be added."""
    made = LDicomAssociate(True)
    made.default()
    made.set_calling(options.aetitle)
    made.set_called(options.call)
    made.set_max_length(True, options.max_pdu)
    return made


def log_as(options: argparse.Namespace) -> None:
    """Logging to standard error: warnings, with -v what happens, with -d everything."""
    level = logging.DEBUG if options.debug else logging.INFO if options.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname).1s: %(message)s")


def wait(event: threading.Event) -> None:
    """Wait for an event; on Windows, Ctrl-C does not end a wait without a time."""
    while not event.wait(1):
        pass


def end_signals() -> threading.Event:
    """An event that Ctrl-C and SIGTERM set; the second such signal ends the program at once. For the main thread."""
    ended = threading.Event()
    numbers = signal.SIGINT, signal.SIGTERM

    def end(_number: int, _frame: object) -> None:
        ended.set()
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)

    for number in numbers:
        signal.signal(number, end)
    return ended


def serve(net: security.Entity, options: argparse.Namespace) -> int:
    """Listen until Ctrl-C or SIGTERM, then let the associations finish; the exit status."""
    ended = end_signals()
    try:
        security.secure(net, options)
        net.listen(options.bind, options.port, ip_type=IpType.IPV6 if ":" in options.bind else IpType.IPV4)
    except LDicomError as error:
        print(error, file=sys.stderr)
        return 1
    security.on_hangup(net)
    print("listening on {} port {}".format(*net.get_host_info()), flush=True)
    wait(ended)
    net.drain(options.drain)
    return 0
