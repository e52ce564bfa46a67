"""The acceptance rule: from a guess to a status, and which rule fired, in words."""

from tagger.records import Acceptance, Guess, Status

# The report shows confidences with this many decimals; deciding on the same rounded figure keeps
# the report and the decision in step whatever the batch size or the device.
DECIMALS = 4
# The default of --min-conf; MODEL_CARD.md shows what it does on photos with and without landmarks.
MIN_CONF = 0.6

THUMBNAIL = "nothing known at the size of a thumbnail; --thorough looks closer"


def decide(guess: Guess, min_conf: float) -> Acceptance:
    """Accept the best candidate, or say why not; the first rule that applies decides.

    0. nothing known was seen at the size of a thumbnail: no landmark;
    1. confidence of the best candidate >= ``min_conf``: tagged;
    2. probability of no landmark at least 0.5: no landmark;
    3. otherwise: unsure.

    The confidence is the calibrated probability that the tag is right, on photos most of which
    show no landmark, so rule 1 needs no second condition.
    """
    if guess.thumbnail:
        return Acceptance(False, Status.NO_LANDMARK, THUMBNAIL)
    confidence = round(guess.best.confidence, DECIMALS)
    if confidence >= min_conf:
        return Acceptance(True, Status.TAGGED, f"confidence {confidence:g} >= {min_conf:g}")
    if guess.none >= 0.5:
        return Acceptance(
            False, Status.NO_LANDMARK, f"no known landmark, probability {guess.none:.2f}"
        )
    return Acceptance(False, Status.UNSURE, f"confidence {confidence:g} < {min_conf:g}")
