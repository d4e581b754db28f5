"""`./ytempire COMMAND`: the command line.

Each command is a function in `deploy/commands`; what it says about itself there is its help.
"""

from __future__ import annotations

import logging
import sys

import structlog
import typer

from deploy.commands import (
    bottleneck,
    cancel,
    clean,
    completion,
    control,
    costs,
    day,
    disaster,
    doctor,
    evening,
    factory,
    proof,
    requeue,
    restoring,
    status,
    telling,
    upgrade,
    videos,
)
from deploy.commands.terminal import guarded

_HELP = """Publish a topic, get a finished, narrated, captioned MP4.

\b
  ./ytempire demo      one film from a sample article, and out
  ./ytempire up        the factory, until Ctrl-C
  ./ytempire submit "Why octopuses have three hearts" --notes article.md
  ./ytempire status    what it is doing
  ./ytempire costs     what it has spent
  ./ytempire halt      stops everything now; `resume` goes on
  ./ytempire check     whether all is well, in the morning

All of it works with redis-cli alone, too; each control command prints its line. Commands that print records take
--json.

\b
Exit codes: 0 done, or all is well; 1 it failed, or something is not well;
2 asked wrongly, or not usable as it is set up; 130 interrupted.
"""

#: For commands whose arguments belong to another program.
_PASS_ON = {"ignore_unknown_options": True, "allow_interspersed_args": False}


def _ended(code: object) -> object:
    """Makes the exit code of what a command returns, which typer would drop."""
    if isinstance(code, int) and code:
        raise typer.Exit(code)
    return code


app = typer.Typer(
    name="ytempire",
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    result_callback=_ended,
)
app.command()(factory.demo)
app.command()(factory.up)
app.command()(factory.env)
app.command(context_settings=_PASS_ON)(factory.cli)
app.command()(videos.submit)
app.command()(status.status)
app.command()(bottleneck.bottleneck)
app.command()(videos.videos)
app.command()(costs.costs)
app.command()(control.halt)
app.command()(control.pause)
app.command()(control.resume)
app.command()(control.mode)
app.command()(control.retry)
app.command()(cancel.cancel)
app.command()(requeue.requeue)
app.command()(day.check)
app.command()(day.monitor)
app.command()(evening.wrap)
app.command()(evening.report)
app.command()(day.chores)
app.command()(telling.alert)
app.command()(disaster.backup)
app.command()(restoring.restore)
app.command()(disaster.recover)
app.command()(disaster.validate)
app.command()(clean.clean)
app.command()(doctor.doctor)
app.command()(upgrade.upgrade)
app.command()(completion.completion)
app.command("test", context_settings=_PASS_ON)(proof.run_tests)
app.command("bench", context_settings=_PASS_ON)(proof.run_bench)
app.command("faults", context_settings=_PASS_ON)(proof.run_faults)
app.command("fuzz", context_settings=_PASS_ON)(proof.run_fuzz)


def main() -> int:
    """Run one command; returns its exit code. What the parts log is for a factory's log, not for a person here."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    return guarded(lambda: app(prog_name="ytempire"))


if __name__ == "__main__":
    sys.exit(main())
