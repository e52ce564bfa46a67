"""Where landmarks are: which may stand for each other, and on which continent they are."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tagger.places.distance import distance_m
from tagger.records import Landmark

# A photo of the Sphinx that is taken for the Pyramids gets a right place. So does any photo taken
# for a landmark at most this far, in metres, outside the larger of the two radii.
BESIDE_M = 300
SEVERAL = "on a border"
CONTINENTS = {
    "Africa": "DZ EG ET LY MA ML SD TN ZA",
    "Asia": "AE AM BD BN CN GE ID IL IN IQ IR JO JP KG KH KR KW KZ LB LK MM MY NP OM PH PK PS QA "
    "SA SG SY TH TJ TM TR TW UZ VN YE",
    "Europe": "AL AT BA BE BG BY CH CY CZ DE DK EE ES FI FR GB GR HR HU IE IS IT LI LT LU LV MC "
    "MD ME MK MT NL NO PL PT RO RS RU SE SI SK SM UA VA",
    "North America": "CA CU GT MX US",
    "Oceania": "AU FJ NZ",
    "South America": "AR BO BR CL CO EC PE",
}
_OF_CODE = {code: name for name, codes in CONTINENTS.items() for code in codes.split()}


def beside(landmarks: Sequence[Landmark]) -> NDArray[np.bool_]:
    """Whether two landmarks may stand for each other, bool [C, C]."""
    return np.array([[_beside(one, other) for other in landmarks] for one in landmarks])


def _beside(one: Landmark, other: Landmark) -> bool:
    apart = distance_m((one.latitude, one.longitude), (other.latitude, other.longitude))
    return apart <= max(one.radius_m, other.radius_m) + BESIDE_M


def continent(place: Landmark) -> str:
    """A landmark's continent; Türkiye counts as Asia, Russia as Europe, a border as none.

    Raises:
        KeyError: a country that no continent lists.
    """
    return _OF_CODE[place.country_code] if place.country_code else SEVERAL
