"""The pictures of docs/quant.md: each is there, readable on light and dark pages, and what the code of today draws."""

import re
from xml.etree import ElementTree

import pytest

from tests.pictures.pictures import ALL, FOLDER, drawn

TEXT = (FOLDER.parent / "quant.md").read_text()


def test_the_chapters_show_every_picture_and_no_other() -> None:
    shown = re.findall(r"!\[[^\]]+\]\(pictures/(\w+)\.svg\)", TEXT)

    assert sorted(shown) == sorted(ALL) == sorted(file.stem for file in FOLDER.iterdir())


@pytest.mark.parametrize("name", ALL)
def test_a_picture_is_small_and_has_its_own_colours_for_dark_pages(name: str) -> None:
    svg = (FOLDER / f"{name}.svg").read_text()

    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert "prefers-color-scheme:dark" in svg
    assert 'class="page"' in svg  # a ground of its own
    assert len(svg) < 64 * 1024


@pytest.mark.parametrize("name", ["tail", "region"])
def test_drawn_again_it_has_the_same_curves(name: str) -> None:
    """The two that need neither recordings nor minutes, and that no rounding moves."""
    svg = drawn(name)

    assert svg is not None
    for new, old in zip(curves(svg), curves((FOLDER / f"{name}.svg").read_text()), strict=True):
        assert new == pytest.approx(old, abs=2)


def curves(svg: str) -> list[list[float]]:
    """The coordinates of each path, pixels."""
    paths = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}path")
    return [[float(x) for x in re.findall(r"[\d.]+", path.attrib["d"])] for path in paths]
