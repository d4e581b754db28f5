"""From an order, its plan and its voice to the finished track of sound; what cannot be played is refused before."""

from __future__ import annotations

from actors.rendering import styles
from actors.rendering.order import FilmOrder
from actors.rendering.planning.plan import Plan
from actors.rendering.sound import music, own_bed
from actors.rendering.sound.mastering import mastered
from actors.rendering.sound.mixing import Bed, Mix
from actors.rendering.sound.moods import mood
from actors.rendering.sound.track import Track
from actors.rendering.sound.voice import Voice
from schema.settings.video import Video


def mixed(plan: Plan, voice: Voice, order: FilmOrder) -> Mix:
    """The voice and the bed that the plan names, ready to be mastered.

    Raises PermanentError, naming the file, when the user's own music cannot be used.
    """
    return Mix(
        voice,
        _bed(plan, order),
        start_s=plan.voice_start_s,
        duration_s=plan.duration_s,
        target_lufs=order.video.loudness_lufs,
        music_lu=order.video.music_lu,
    )


def finished(mix: Mix, video: Video) -> Track:
    """The track for the muxer, as loud as the settings say: half a second of CPU for 24 s of film."""
    return mastered(mix, video.loudness_lufs, video.true_peak_dbtp, video.audio_bitrate).track


def music_of(order: FilmOrder) -> str:
    """What plays under the voice: `made:` and a mood, `file:` and a path, or nothing.

    Raises PermanentError when there is no such mood, file or folder.
    """
    video = order.video
    if video.music == "off":
        return ""
    if file := own_bed.chosen(video.music_file, video.music_dir, order.seed):
        return f"file:{file}"
    name = styles.named(order.style, order.aspect).music
    if name:
        mood(name)
    return f"made:{name}" if name else ""


def _bed(plan: Plan, order: FilmOrder) -> Bed | None:
    kind, _, which = plan.music.partition(":")
    if kind == "file":
        return own_bed.OwnBed(which, plan.duration_s)
    if kind == "made":
        return music.Bed(which, order.seed, plan.duration_s, plan.voice_start_s + plan.voice_s)
    return None
