"""When a key is bound to a device."""

from moonlatch.licensing.fingerprint import binds_on_use, is_bound


def test_a_key_is_bound_once_it_has_a_device_and_may_have_one() -> None:
    assert is_bound(b"f", fingerprintless=False)
    assert not is_bound(None, fingerprintless=False)
    assert not is_bound(b"f", fingerprintless=True)


def test_the_first_known_device_becomes_the_keys_own() -> None:
    assert binds_on_use(None, False, b"f")
    assert not binds_on_use(b"f", False, b"f")
    assert not binds_on_use(None, True, b"f")
    assert not binds_on_use(None, False, None)
