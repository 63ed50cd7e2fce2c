"""`GET /loader/:script_id`."""

from support.client_server import World


async def get(world: World, script: str, **headers):
    return await world.http.get(f"{world.url}/loader/{script}", headers=headers)


async def test_a_scripts_loader_is_served_as_text_with_an_entity_tag(world: World) -> None:
    client = await world.script()
    response = await get(world, client.script, **{"accept-encoding": "identity"})
    assert response.status_code == 200
    assert response.text == f"-- loader of {client.script}"
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["etag"] == f'"{client.loader}"'


async def test_a_loader_that_did_not_change_is_not_sent_again(world: World) -> None:
    client = await world.script()
    tag = (await get(world, client.script)).headers["etag"]
    for condition in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        response = await get(world, client.script, **{"if-none-match": condition})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == tag
    assert (await get(world, client.script, **{"if-none-match": '"other"'})).status_code == 200


async def test_a_loader_comes_compressed_to_whom_that_is_right(world: World) -> None:
    client = await world.script()
    for accepted, encoding in {
        "gzip": "gzip",
        "br, gzip;q=0.5": "gzip",
        "gzip;q=0": None,
        "gzip; q=0.0, br": None,
        "br": None,
    }.items():
        for _ in range(2):  # the second time it is kept
            response = await get(world, client.script, **{"accept-encoding": accepted})
            assert response.headers.get("content-encoding") == encoding
            assert response.text == f"-- loader of {client.script}"
            assert response.headers["vary"] == "accept-encoding"
            tag = f'"{client.loader}-gzip"' if encoding else f'"{client.loader}"'
            assert response.headers["etag"] == tag


async def test_a_missing_loader_is_lua_that_raises(world: World) -> None:
    removed = await world.script()
    await world.change("delete from scripts")
    never_updated = await world.script(build=0, enabled=False)
    await world.change("update scripts set loader = null")
    for script in ("x" * 32, "", "a/b", "%00", removed.script, never_updated.script):
        response = await get(world, script)
        assert response.status_code == 404
        assert response.text.startswith("error(")
        assert response.headers["content-type"] == "text/plain; charset=utf-8"


async def test_a_head_request_has_no_body(world: World) -> None:
    client = await world.script()
    response = await world.http.head(f"{world.url}/loader/{client.script}")
    assert (response.status_code, response.content) == (200, b"")
