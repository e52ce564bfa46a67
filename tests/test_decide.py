"""The acceptance rule as a table."""

import pytest

from tagger.evidence.decide import decide
from tagger.records import Candidate, Guess, Status


@pytest.mark.parametrize(
    ("confidence", "none", "min_conf", "status"),
    [
        (0.90, 0.05, 0.6, Status.TAGGED),
        (0.60, 0.40, 0.6, Status.TAGGED),  # at the threshold is accepted
        (0.59996, 0.3, 0.6, Status.TAGGED),  # as the report shows it: 0.6000
        (0.59994, 0.3, 0.6, Status.UNSURE),
        (0.40, 0.20, 0.6, Status.UNSURE),
        (0.40, 0.50, 0.6, Status.NO_LANDMARK),
        (0.01, 0.99, 0.6, Status.NO_LANDMARK),
        (0.01, 0.99, 0.0, Status.TAGGED),  # the user asked for everything
        (0.999, 0.001, 1.0, Status.UNSURE),
    ],
)
def test_rule(confidence: float, none: float, min_conf: float, status: Status) -> None:
    decision = decide(Guess((Candidate("Taj_Mahal", confidence),), none), min_conf)
    assert decision.status is status
    assert decision.accepted is (status is Status.TAGGED)
    assert decision.reason
