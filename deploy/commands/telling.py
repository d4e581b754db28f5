"""`alert`: tells everybody at once, whether or not the factory runs; what the runbook's send_critical_alert.sh is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from deploy.commands.connections import PATIENCE_S, bus
from deploy.commands.terminal import FAILED, DataOption, complain, running_factory
from schema import wire
from schema.errors import ConfigurationError, RefusedError
from schema.events import notice
from schema.events.fact import stamp
from schema.events.notice import Notice
from schema.settings import environment
from streams import names
from streams.publish import publish
from streams.transport.port import BusUnavailableError

_LEVELS: Final = ("critical", "warning", "normal")


def alert(
    text: Annotated[str, typer.Argument(help="What has happened.", metavar="TEXT")],
    level: Annotated[str, typer.Option(help="critical, warning or normal.", metavar="LEVEL")] = "critical",
    data: DataOption = None,
) -> int:
    """Tell everybody that YTEMPIRE_ALERTS_TO names, now.

    Also said on stream:notices, where the console shows it. Needs no factory that runs. Exit code 1 when an address did
    not take it, or when nobody could be told at all.
    """
    from deploy.reporting import delivery  # noqa: PLC0415 - every command imports this module
    from deploy.reporting.alerts import TOLD  # noqa: PLC0415 - likewise

    if level not in _LEVELS or not text.strip():
        raise RefusedError(f"level is {level!r}, text {text!r}: expected {', '.join(_LEVELS)}, and words")
    at = datetime.now(UTC)
    fields = notice.to_fields(Notice(type=TOLD, at=stamp(at), by="operator", reason=text, level=level))
    print(wire.line(names.NOTICES, fields))
    noticed = _noticed(fields, data)
    to = delivery.targets(environment.read().operations.alerts_to)
    sent = delivery.deliver(to, f"YTEMPIRE {level}: {text}", f"{text}\n{at:%Y-%m-%d %H:%M:%S} UTC", level=level)
    for target in to:
        if target.digest in sent.delivered:
            print(f"told {target.shown}")
    for where, why in sent.failed.items():
        complain(f"not told {where}: {why}")
    if not to:
        complain("nobody is set in YTEMPIRE_ALERTS_TO", "YTEMPIRE_ALERTS_TO=mailto://user:password@example.org")
    return FAILED if sent.failed or not (to or noticed) else 0


def _noticed(fields: dict[str, str], data: DataOption) -> bool:
    try:
        with bus(running_factory(data).redis_url) as transport:
            publish(transport, names.NOTICES, fields, wait_s=PATIENCE_S)
    except (BusUnavailableError, ConfigurationError) as error:
        complain(f"not said on {names.NOTICES}: {error}")
        return False
    return True
