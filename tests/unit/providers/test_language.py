import subprocess
import sys

import pytest

from actors.providers.audio.language import refuse_unspeakable
from schema.errors import RefusedError

FOREIGN = {
    "German": (
        "Ein Oktopus hat drei Herzen, und jedes davon hat eine eigene Aufgabe. Zwei kleine Herzen liegen an "
        "den Kiemen und pumpen das Blut durch sie hindurch, während das dritte den Körper versorgt."
    ),
    "French": (
        "Le poulpe possède trois coeurs, et chacun a son propre rôle. Deux petits coeurs se trouvent à la "
        "base des branchies, et le troisième envoie le sang dans tout le corps de l'animal."
    ),
    "Spanish": (
        "El pulpo tiene tres corazones, y cada uno cumple una función propia. Dos corazones pequeños están en"
        " la base de las branquias, y el tercero envía la sangre a todo el cuerpo."
    ),
    "Italian": (
        "Il polpo ha tre cuori e ognuno di essi ha un compito proprio. Due piccoli cuori si trovano alla base"
        " delle branchie, e il terzo manda il sangue in tutto il corpo dell'animale."
    ),
    "Dutch": (
        "Een octopus heeft drie harten, en elk daarvan heeft een eigen taak. Twee kleine harten zitten aan de"
        " kieuwen en pompen het bloed er doorheen, het derde zorgt voor de rest van het lichaam."
    ),
    "Polish": (
        "Ośmiornica ma trzy serca i każde z nich ma własne zadanie. Dwa małe serca znajdują się przy "
        "skrzelach, a trzecie tłoczy krew do całego ciała zwierzęcia, bo to jest bardzo ważne."
    ),
}
ENGLISH = {
    "a topic": "Why the sky is blue",
    "too short to judge": "Der Blaue Reiter",
    "nothing": "",
    "figures": "1, 2, 3 ... 50% & more!",
    "accents": (
        "Café culture in São Paulo, Zürich, Łódź and Málaga: how José Müller, François Dubois and Søren "
        "Ångström drink their coffee, and what the naïve tourist makes of crème brûlée, smörgåsbord and "
        "jalapeños."
    ),
    "quoted words": (
        "The Greek word ὀκτώπους means eight feet, and the Russian word осьминог means something with eight legs."
    ),
    "German titles": (
        "Johann Sebastian Bach wrote Das Wohltemperierte Klavier, Die Kunst der Fuge and Ich habe genug while"
        " he lived in Leipzig; Beethoven's Ode an die Freude came a century later and is still sung at New "
        "Year."
    ),
    "a list of names": (
        "Apollo 11, Apollo 12, Apollo 14, Apollo 15, Apollo 16, Apollo 17, Gemini, Mercury, Skylab, Voyager, "
        "Pioneer, Cassini, Galileo, Juno, Dawn, Rosetta, Hubble, Webb, Kepler, Tess, Gaia, Planck"
    ),
    "Spanish names": (
        "Los Angeles, San Francisco, El Paso, La Jolla, Las Vegas, San Diego, Los Alamos, Santa Fe, El Cajon "
        "and La Mesa are towns in the United States with names that came from Spanish settlers."
    ),
}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Почему осьминог имеет три сердца", "Cyrillic"),
        ("章鱼为什么有三颗心脏", "Chinese"),
        ("タコのしんぞう", "Japanese"),
        ("لماذا للأخطبوط ثلاثة قلوب", "Arabic"),
        ("문어의 심장은 왜 세 개일까", "Korean"),
        ("Γιατί το χταπόδι έχει τρεις καρδιές", "Greek"),
        ("ऑक्टोपस के तीन दिल क्यों होते हैं", "Devanagari"),
    ],
)
def test_other_scripts_are_named_in_the_refusal(text: str, name: str) -> None:
    with pytest.raises(RefusedError, match=f"{name} letters") as caught:
        refuse_unspeakable(text)
    assert "topic" in caught.value.hint


@pytest.mark.parametrize("name", FOREIGN)
def test_other_languages_are_named_when_the_text_is_long_enough(name: str) -> None:
    with pytest.raises(RefusedError, match=name):
        refuse_unspeakable(FOREIGN[name])


@pytest.mark.parametrize("kind", ENGLISH)
def test_english_with_names_and_accents_passes(kind: str) -> None:
    refuse_unspeakable(ENGLISH[kind])


def test_the_check_loads_neither_the_voice_nor_its_runtime() -> None:
    code = (
        "import sys, actors.providers.audio.language; "
        "sys.exit(bool({'hibari', 'onnxruntime', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
