"""From 0.9 of maintenance margin to above 1.25 without the keeper, on put, call and mixed books."""

from xml.etree import ElementTree

import pytest

from keeper.chain.artifacts import PROJECT
from keeper.simulation.liquidation.__main__ import stories
from keeper.simulation.liquidation.chart import draw
from keeper.simulation.liquidation.story import GAPS

pytestmark = pytest.mark.timeout(3_600)  # a story takes minutes on a busy machine


@pytest.fixture(scope="module")
def told():
    return {story.book: story for story in stories()}


@pytest.mark.parametrize("book", GAPS)
def test_strangers_bring_any_book_from_distress_to_its_target(told, book):
    """Invariants 33 and 43: the keeper is dead, depositors have left, and the price gaps."""
    story = told[book]

    assert story.moments[0].health == pytest.approx(0.9, abs=0.01)
    assert story.moments[-1].health > 1.25
    assert story.moments[-1].minute <= 30


@pytest.mark.parametrize("book", GAPS)
def test_nobody_acts_before_the_contracts_let_him(told, book):
    """Invariant 33. The auction opens after five minutes of recorded distress, de_risk after ten."""
    first = {
        kind: min(a.minute for a in told[book].acts if a.kind == kind) for kind in ("record", "open", "de_risk", "bid")
    }

    assert first["open"] == first["record"] + 5
    assert first["de_risk"] >= first["record"] + 10
    assert first["bid"] > first["open"]


@pytest.mark.parametrize("book", GAPS)
def test_every_act_raises_health(told, book):
    """Invariant 33. Nothing happens between the steps: the price stands still."""
    story = told[book]
    acted = {act.minute for act in story.acts if act.kind in ("de_risk", "bid")}

    for before, after in zip(story.moments, story.moments[1:], strict=False):
        change = after.health - before.health
        assert change > 0.01 if after.minute in acted else abs(change) < 0.001


def test_the_picture_in_the_docs_is_of_these_stories(told):
    """Drawn again it has the same curves, to the pixel or two that pools and clocks differ by."""
    drawn = [shape(draw(tuple(told.values()))), shape((PROJECT / "docs" / "liquidation.svg").read_text())]

    assert len(drawn[0]) == len(drawn[1]) == len(GAPS)
    for new, old in zip(*drawn, strict=True):
        assert new[0] == pytest.approx(old[0], abs=3)
        assert new[-1][1] == pytest.approx(old[-1][1], abs=30)


def shape(svg):
    """The first and the last point of each curve."""
    lines = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}polyline")
    points = [[tuple(map(float, point.split(","))) for point in line.attrib["points"].split()] for line in lines]
    return [(curve[0], curve[-1]) for curve in points]
