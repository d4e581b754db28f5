"""Words that lean on the next one: articles, prepositions, conjunctions and the like, by language. Data.

A line that ends on one of these reads as if it were broken off. Other languages than these have no list: there only
pauses, punctuation and length decide.
"""

from __future__ import annotations

from typing import Final

_WORDS: Final = {
    "de": """der die das den dem des ein eine einen einem einer eines kein keine keinen und oder aber denn doch sondern
        dass weil wenn als ob wie wo während obwohl damit bis in im an am auf aus bei beim mit nach seit von vom zu zum
        zur für durch gegen ohne um über unter vor hinter neben zwischen mein meine dein deine sein seine seinen seiner
        ihr ihre ihren unser unsere euer eure dieser diese dieses diesen sehr nicht sich""",
    "en": """a an the and or but nor so yet of to in into on onto at by with from for as than about over under above
        below between among through during before after against without within upon per via like near across along
        behind beyond toward towards around if because while when where although though since until unless whether
        that which who whom whose what how my your his her its our their this these those no not very too""",
    "es": """el la los las un una unos unas y e o u pero ni sino que si porque cuando donde como mientras aunque pues de
        del a al en con sin por para sobre entre hasta desde hacia según ante bajo tras mi mis tu tus su sus nuestro
        nuestra este esta estos estas ese esa muy no se lo le les me te""",
    "fr": """le la les l' un une des du de d' au aux et ou mais ni car donc or que qu' si quand lorsque comme où dont
        qui puisque parce à en dans sur sous par pour avec sans entre vers chez depuis pendant contre mon ma mes ton
        ta tes son sa ses notre nos votre vos leur leurs ce cet cette ces très ne n' se s' je tu il elle on""",
    "it": """il lo la i gli le l' un uno una e ed o ma né che se perché quando dove come mentre anche di del dello della
        dei degli delle a al allo alla ai agli alle da dal dalla in nel nella nei nelle con su sul sulla per tra fra mio
        mia tuo tua suo sua nostro nostra loro questo questa molto non si""",
    "nl": """de het een en of maar want dat die als omdat wanneer waar hoe terwijl hoewel van in op aan met voor door
        over bij naar uit om tot te tegen zonder onder mijn jouw zijn haar ons onze hun deze dit heel niet zich er""",
    "pt": """o a os as um uma uns umas e ou mas nem que se porque quando onde como enquanto embora de do da dos das em
        no na nos nas ao aos à às com sem por pelo pela para sobre entre até desde meu minha seu sua nosso nossa este
        esta esse essa muito não se me te lhe""",
}
_LISTS: Final = {language: frozenset(words.split()) for language, words in _WORDS.items()}
_OPENING: Final = "\"'“„«\u2039\u2018([¿¡"


def is_weak(word: str, language: str) -> bool:
    """Whether the word, as written in a text of this BCP 47 tag, leans on the next; not if punctuation follows it."""
    words = _LISTS.get(language.split("-", maxsplit=1)[0].casefold(), frozenset())
    return word.lstrip(_OPENING).replace("\u2019", "'").casefold() in words
