"""What runner and worker say to each other: one JSON object a line, with a version.

The runner sends commands on the worker's standard input, one at a time:
    {"v": 1, "do": "block", ...}         measure the variants of one point, interleaved
    {"v": 1, "do": "preservation", ...}  what one variant does to loss and gradient norm
    {"v": 1, "do": "spectrum", ...}      the singular values of every layer's input
    {"v": 1, "do": "check", ...}         whether methods exist and any point can be built
    {"v": 1, "do": "look", ...}          what a model takes, what it is, and which methods move it
    {"v": 1, "do": "environment", ...}   what this machine is; resolves the device "auto"
    {"v": 1, "do": "estimate", "units": [[command, count], ...]}  how many seconds these will take
    {"v": 1, "do": "roofline", ...}      how fast this machine copies and multiplies
    {"v": 1, "do": "profile", ...}       traces and phases of the variants of one point
    {"v": 1, "do": "kept"}               the cell just finished is in the journal
    {"v": 1, "do": "open", ...}          build a block and keep it, so that turns can be asked for
    {"v": 1, "do": "turn", "cell_id", "calls"}  so many calls of one cell of an open block
    {"v": 1, "do": "stop"}
The worker answers with events on its standard output; whatever the measured code prints goes to
standard error:
    ready     {"commands"}: once, after start; workers before ``open`` name no commands. With
              {"waits": true} it waits for "kept" after each cell of a block
    opened    {"sources", "strays"}: the block is built, from code in these directories; strays are
              modules of the user's that were not imported from the tree it was started for
    note      {"cell_id"}: this cell is being worked on from now on
    sample    {"cell_id", "samples": [...]}
    timed     {"cell_id", ...}: it has all its samples; said again with what was found beside them
    cell      {"cell_id", "status", "reason", ...}: no more samples of this cell will come
    record    {"record"}: a finished record for the journal, one "of" so many of its command
    environment  {"device", "environment"}
    looked    {...}: what a look has found so far
    refused   {"reason"}: what is wrong with a method, or with all points
    failed    {"reason"}: the whole command could not be carried out
    retire    {"reason"}: instead of done; the process is unusable and ends, start another
    done      the command is finished
"""

import json
from typing import IO, Any

VERSION = 1

Message = dict[str, Any]


def send(stream: IO[str], message: Message) -> None:
    """Write one message and flush it."""
    stream.write(json.dumps({"v": VERSION, **message}) + "\n")
    stream.flush()


def parse(line: str) -> Message:
    """Read one message; ValueError: no JSON object, or another version of the protocol."""
    message = json.loads(line)
    if not isinstance(message, dict) or message.get("v") != VERSION:
        raise ValueError(f"expected a message of protocol version {VERSION}; got {line[:200]!r}")
    return message
