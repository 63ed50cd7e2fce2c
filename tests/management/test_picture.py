from hypothesis import given
from hypothesis import strategies as st

from moonlatch.management.picture import device_picture

hashes = st.binary(min_size=32, max_size=32)


def picture(project_id: str = "p", ip: bytes | None = b"i", fingerprint: bytes | None = b"f") -> list[str]:
    drawn = device_picture(project_id=project_id, ip=ip, fingerprint=fingerprint, executor="Delta")
    assert drawn is not None
    return drawn.split("\n")


@given(hashes, hashes)
def test_three_lines_of_six_squares(ip: bytes, fingerprint: bytes) -> None:
    lines = picture(ip=ip, fingerprint=fingerprint)
    assert [line[6:] for line in lines] == [" -> ip", " -> fingerprint", " -> executor"]
    assert {square for line in lines for square in line[:6]} <= set("🟥🟧🟨🟩🟦🟪🟫⬛")


def test_only_the_line_of_what_changed_changes() -> None:
    before, after = picture(fingerprint=b"one"), picture(fingerprint=b"other")
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]


def test_the_same_value_looks_different_in_another_line_and_another_project() -> None:
    lines = picture(ip=b"same", fingerprint=b"same")
    assert lines[0][:6] != lines[1][:6]
    assert all(one != other for one, other in zip(lines, picture("other", b"same", b"same"), strict=True))


def test_what_is_unknown_is_white() -> None:
    assert picture(fingerprint=None)[1] == "⬜⬜⬜⬜⬜⬜ -> fingerprint"


def test_nothing_seen_gives_no_picture() -> None:
    assert device_picture(project_id="p", ip=None, fingerprint=None, executor=None) is None
