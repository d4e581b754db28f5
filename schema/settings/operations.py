"""What the factory does by itself at its hours, and whom it tells."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from schema.settings.masking import Masked

#: `:MM` each hour, `HH:MM` each day, `sun HH:MM` each week, `off` never.
_WHEN: Final = "^(off|:[0-5][0-9]|((mon|tue|wed|thu|fri|sat|sun) )?([01][0-9]|2[0-3]):[0-5][0-9])$"


class Operations(Masked, frozen=True, kw_only=True):
    """Chores and messages; times are UTC: `:MM` each hour, `HH:MM` each day, `sun HH:MM` each week, or `off`."""

    alerts_to: Annotated[
        str,
        Meta(
            description="where alerts and reports go: apprise addresses (mailto://, slack://, tgram://, json://), by "
            "blanks; empty: only the log"
        ),
    ] = ""
    alerts_level: Annotated[
        Literal["warning", "critical"], Meta(description="what guardians say is told from this level on")
    ] = "critical"
    alerts_repeat_s: Annotated[
        float, Meta(ge=0, description="seconds within which the same cause at the same level is told once")
    ] = 3600.0
    alerts_per_hour: Annotated[
        int, Meta(ge=1, description="alerts an hour, beyond which one says that there are more")
    ] = 30
    monitor_at: Annotated[str, Meta(pattern=_WHEN, description="when `monitor` looks")] = ":05"
    backup_hourly_at: Annotated[str, Meta(pattern=_WHEN, description="when the hourly backup is made")] = ":00"
    backup_daily_at: Annotated[str, Meta(pattern=_WHEN, description="when the daily backup is made")] = "02:00"
    backup_weekly_at: Annotated[str, Meta(pattern=_WHEN, description="when the weekly backup is made")] = "sun 03:00"
    wrap_at: Annotated[str, Meta(pattern=_WHEN, description="when `wrap` ends the day")] = "18:00"
    chore_limit_s: Annotated[float, Meta(gt=0, description="seconds a chore may take before it is ended")] = 3600.0
