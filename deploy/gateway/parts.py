"""What the routes of the gateway work with: one of each, for the life of the process."""

from __future__ import annotations

from deploy.exporters import Exporters
from deploy.gateway.live import Live
from schema.money.statement import Statement
from schema.record.commands import Commands
from schema.record.figures import Figures
from schema.record.gate import GateRecord
from schema.record.glance import Glance
from schema.record.story import Stories
from schema.record.videos import Videos
from streams.process import Process


class Parts:
    """Readers of the record, the bus, and the live feed."""

    def __init__(self, process: Process) -> None:
        self.process, self.settings = process, process.settings
        postgres = process.postgres
        self.gate, self.glance, self.videos = GateRecord(postgres), Glance(postgres), Videos(postgres)
        self.statement, self.figures = Statement(postgres), Figures(postgres)
        self.stories, self.commands = Stories(postgres), Commands(postgres)
        self.exporters = Exporters(process.settings.servers, process.name)
        self.live = Live(self)
