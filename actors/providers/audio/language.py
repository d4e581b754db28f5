"""Refuses text that the local voice cannot read: other scripts than Latin, other languages than English.

Cheap enough for intake: it counts letters and common words. It is slow to refuse: names, accents, quotations and lists
in English text pass, and a text under twenty words is never judged by its language, only by its letters.
"""

from __future__ import annotations

import re
from collections import Counter

from actors.providers.letters import script_of
from schema.errors import RefusedError

#: Refuse when this share of all letters is not Latin.
_FOREIGN_LETTERS = 0.2
#: Below this many words the statistics of common words say nothing.
_JUDGED_WORDS = 20
#: Another language's common words must reach this share, and twice the share of the English ones.
_OTHER_SHARE = 0.15

_ENGLISH_WORDS = (
    "the of and to in is that it for was on are as with be by this from have or had not but what all were when we "
    "there can an your which their said if will each about how up out them then she many some so these would other "
    "into has more her two like him see could no make than been its who now people my made over did only way find "
    "use may most he you they at one"
)
#: Common words that are not English words as well: "die", "in" or "a" would speak for nobody.
_OTHERS = {
    "German": "der das und ist nicht ein eine einen dem den des sich mit auf für im auch wird werden sind aus bei nach "
    "wie oder von zu es sie ich dass über zum zur durch wenn kann haben",
    "French": "le la les des et est une un du que qui dans pour pas sur avec sont ce cette il elle ils au aux par plus "
    "ne se de en ou mais nous vous leur être comme",
    "Spanish": "el la los las y que es una un del por con para se su al como más pero sus lo este ha son está también "
    "de en cuando muy sobre entre",
    "Italian": "il lo la gli che di è una un del della dei per con non si sono anche come più nel alla le da ma questo "
    "delle dalla essere ha",
    "Portuguese": "os as que do da dos das em um uma para com não por mais como ao seu sua foi são também de e é se na "
    "nos pelo pela mas",
    "Dutch": "het een van en dat niet zijn op te met voor er aan ook als bij naar uit wordt worden deze ze maar om dan "
    "door zich hebben de",
    "Swedish": "och att det som på är av för med inte till ett om har men från kan var så eller när också vid ut",
    "Danish or Norwegian": "og at det som på er av af ikke til et om har men fra kan med når eller også ved ut den",
    "Polish": "i w na z się nie do jest to że jak o są po co przez ale od za dla tym oraz może czy które który "
    "ma przy bo ich jego jej też tylko każde gdy",
    "Turkish": "ve bir bu için ile de da olarak çok daha gibi olan var en kadar ama sonra her ne değil",
    "Indonesian or Malay": "yang dan di dengan untuk pada ini itu dari dalam adalah tidak akan ke juga oleh karena",
    "Romanian": "și de la în a cu pe nu un o este care sunt din că mai pentru se ce prin sau fost",
    "Czech": "a v se na je že s z do to jako i za by po pro který jsou ale od podle nebo také",
}
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
_COMMON = {language: frozenset(words.split()) for language, words in _OTHERS.items()}
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_HINT = 'the local voice reads English only; write topic and notes in English, such as: topic "Why the sky is blue"'


def refuse_unspeakable(text: str) -> None:
    """Return when the local voice can read `text`; raise `RefusedError` naming the script or language otherwise."""
    letters = Counter(script_of(letter) for letter in text if letter.isalpha())
    foreign = letters.total() - letters["LATIN"]
    if foreign and foreign >= _FOREIGN_LETTERS * letters.total():
        name, _ = max(((name, count) for name, count in letters.items() if name != "LATIN"), key=lambda item: item[1])
        message = f"got text in {_written(name)} letters, which the local voice cannot read"
        raise RefusedError(message, hint=_HINT)
    language = _clearly_other(_WORD.findall(text.lower()))
    if language:
        message = f"got text that looks {language}, which the local voice cannot read"
        raise RefusedError(message, hint=_HINT)


def _written(name: str) -> str:
    return {"CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean"}.get(
        name, name.capitalize()
    )


def _clearly_other(words: list[str]) -> str:
    """Name the language that `words` are clearly in, or nothing when they may be English."""
    if len(words) < _JUDGED_WORDS:
        return ""
    english = sum(word in _ENGLISH for word in words) / len(words)
    share, language = max(
        (sum(word in common for word in words) / len(words), name) for name, common in _COMMON.items()
    )
    return language if share >= max(_OTHER_SHARE, 2 * english) else ""
