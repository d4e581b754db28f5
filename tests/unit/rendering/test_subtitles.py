from __future__ import annotations

import itertools
from pathlib import Path

import av
import pytest
from av.subtitles.subtitle import AssSubtitle

from actors.rendering.planning.plan import Caption, Plan
from actors.rendering.planning.subtitles import cues, srt, vtt
from actors.rendering.planning.unspaced import columns

SAID = (
    "When an octopus swims, | that third heart stops beating, | which is why it prefers to crawl. | It has & <b> --> "
    "{\\an8} 5 > 3 | blood. | Καλημέρα 😀 | للأخطبوط ثلاثة قلوب"
)


def film(text: str = SAID, *, fps: int = 30, apart: int = 0) -> Plan:
    captions, at = [], 10
    for phrase in text.split("|"):
        words = tuple(phrase.split())
        starts = tuple(at + 9 * place for place in range(len(words)))
        captions.append(Caption(words, starts, at, starts[-1] + 9))
        at = captions[-1].end + apart
    return Plan(
        width=1280, height=720, fps=fps, frames=at, voice_start_s=0, voice_s=at / fps,
        shots=(), captions=tuple(captions), cards=(), silences=(),
    )  # fmt: skip


def parsed(path: Path) -> list[tuple[float, float, str]]:
    """What ffmpeg reads in the file: start and end in seconds, and the text without line breaks."""
    found = []
    with av.open(str(path)) as container:
        (stream,) = container.streams.subtitles
        for packet in container.demux(stream):
            for shown in packet.decode():
                assert isinstance(shown, AssSubtitle)
                # ASS, as ffmpeg turns subtitles into: eight fields, then the text with its own escapes
                text = shown.ass.decode().split(",", 8)[8].replace("\\N", " ")
                text = text.replace("\\{{}", "{").replace("\\\u2060", "\\").replace("\u2060", "")
                start = float((packet.pts or 0) * packet.time_base)
                found.append((start, start + float((packet.duration or 0) * packet.time_base), text))
    return found


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_ffmpeg_reads_every_cue_with_its_times_and_words(kind: str, tmp_path: Path) -> None:
    plan = film()
    path = tmp_path / f"film.{kind}"
    path.write_text({"srt": srt, "vtt": vtt}[kind](plan), encoding="utf-8")
    read, meant = parsed(path), cues(plan)
    assert len(read) == len(meant)
    for (start_s, end_s, text), cue in zip(read, meant, strict=True):
        assert (start_s, end_s) == pytest.approx((cue.start_ms / 1000, cue.end_ms / 1000), abs=0.002)
        wanted = " ".join(cue.lines)
        if kind == "srt":
            wanted = wanted.replace("-->", "→").replace("{", "(").replace("}", ")")
        assert text.split() == wanted.split()


def test_vtt_has_its_header_and_places_cues_above_the_controls() -> None:
    text = vtt(film())
    assert text.startswith("WEBVTT\n\n00:00:00.333 --> ")
    assert "align:center" in text
    assert "It has &amp; &lt;b&gt; --&gt;" in text.replace("\n", " ")
    assert all(line.count("-->") <= 1 for line in text.splitlines())


def test_short_captions_become_cues_of_two_even_lines_that_never_overlap() -> None:
    made = cues(film())
    assert made[0].lines == ("When an octopus swims,", "that third heart stops beating,")
    for cue in made:
        assert len(cue.lines) <= 2
        assert all(columns(line) <= 42 for line in cue.lines)
        assert cue.start_ms < cue.end_ms
    assert all(one.end_ms <= other.start_ms for one, other in itertools.pairwise(made))


def test_a_silence_ends_a_cue() -> None:
    assert len(cues(film("one | two", apart=30))) == 2
    assert len(cues(film("one | two"))) == 1


def test_the_end_of_a_sentence_ends_a_cue_that_is_long_enough() -> None:
    assert len(cues(film("Octopuses have three hearts. | Two rest."))) == 2
    assert len(cues(film("No. | Two rest."))) == 1


def test_times_beyond_an_hour_and_a_film_without_words() -> None:
    assert "01:00:00,333 --> 01:00:00,633" in srt(film_at(3600 * 30 + 10))
    assert srt(film_at(None)) == ""
    assert vtt(film_at(None)) == "WEBVTT\n\n"


def film_at(frame: int | None) -> Plan:
    caption = (Caption(("late",), (frame,), frame, frame + 9),) if frame is not None else ()
    return Plan(
        width=1280, height=720, fps=30, frames=200_000, voice_start_s=0, voice_s=1,
        shots=(), captions=caption, cards=(), silences=(),
    )  # fmt: skip
