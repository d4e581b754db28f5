"""What the doctor tries on a host that runs a share of the Procfile."""

from __future__ import annotations

import pytest

from deploy.commands import doctor
from deploy.exporters import Exporters, Heard
from deploy.launch import procfile
from deploy.launch.plan import PROCFILE
from schema.settings.environment import Settings
from schema.settings.servers import Servers

LINES = procfile.read(PROCFILE)


@pytest.mark.parametrize(
    ("here", "tried"),
    [
        ({"render", "gpu"}, ["font", "encoder", "render"]),
        ({"audio"}, ["providers", "voice"]),
        ({"intake", "control"}, []),
    ],
)
def test_the_doctor_tries_what_the_lines_of_this_host_need(here: set[str], tried: list[str]) -> None:
    assert [subject for subject, of, _ in doctor._parts(Settings(), here) if here.intersection(of)] == tried


def test_the_doctor_says_which_share_it_is() -> None:
    assert doctor._share(LINES, "") == f"all {len(LINES)} of the Procfile run here"
    said = doctor._share(LINES, "quality render")
    assert said == f"render, quality of the Procfile's {len(LINES)} run here (YTEMPIRE_ACTORS)"


async def test_a_guardian_that_runs_elsewhere_is_neither_down_nor_silent() -> None:
    heard: Heard = await Exporters(Servers(actors="quality", metrics_port=1)).hear()
    assert heard.processes == {"quality": False}
    assert heard.guardians == ()
    assert heard.why_no_card() == "the gpu guardian runs on no host that is asked"
