"""What the routes of the gateway work with: one of each, for the life of the process."""

from __future__ import annotations

from functools import partial
from typing import Final

from deploy.exporters import Exporters
from deploy.gateway.live import Live
from deploy.gateway.sharing import Shared
from deploy.overview import look
from schema.money.statement import Statement
from schema.record.commands import Commands
from schema.record.figures import Figures
from schema.record.gate import GateRecord
from schema.record.glance import Glance
from schema.record.story import Stories
from schema.record.videos import Videos
from streams.process import Process

#: How old a look may be that is shown to several.
_FRESH_S: Final = 0.2


class Parts:
    """Readers of the record, the bus, and the live feed."""

    def __init__(self, process: Process) -> None:
        self.process, self.settings = process, process.settings
        postgres = process.postgres
        self.gate, self.glance, self.videos = GateRecord(postgres), Glance(postgres), Videos(postgres)
        self.statement, self.figures = Statement(postgres), Figures(postgres)
        self.stories, self.commands = Stories(postgres), Commands(postgres)
        limits = process.settings.limits
        self.overview = Shared(
            partial(look, self.gate, self.glance, self.videos, self.statement, limits), fresh_s=_FRESH_S
        )
        self.exporters = Exporters(process.settings.servers, process.name)
        self.live = Live(self)
