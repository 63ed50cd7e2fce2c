"""A seller's installation with something of everything in it, for pages to show."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from support.developer import Developer

DAY_MS = 86_400_000
SCRIPT = """
print("ready")
la_handle("give", function(data) return { given = data.amount } end)
"""


@dataclass
class Shop:
    """What was made; `users` are the user objects of the API."""

    developer: Developer
    project: str
    script: str
    empty_script: str
    users: list[dict[str, Any]] = field(default_factory=list)

    @property
    def loader_url(self) -> str:
        return str(self.developer.http.base_url).rstrip("/") + f"/loader/{self.script}"


def opened_shop(developer: Developer, *, users: int = 60) -> Shop:
    """A project with a published script, one that never was, and customers of every state."""
    project = developer.new_project("Night market")
    script = developer.new_script(project, SCRIPT, name="Auto farm")
    empty = str(developer.post(f"/projects/{project}/scripts", name="Aim trainer")["script"]["id"])
    shop = Shop(developer, project, script, empty)
    now = int(time.time() * 1000)
    rows = [
        {
            "note": f"customer {number}",
            **({"discord_id": str(100_000_000_000_000_000 + number)} if number % 3 == 0 else {}),
            **({"key_days": 30} if number % 4 == 1 else {}),
            **({"key_expires": now + number * DAY_MS} if number % 4 == 2 else {}),
            **({"max_instances": 2} if number % 5 == 0 else {}),
        }
        for number in range(1, users + 1)
    ]
    shop.users = developer.post(f"/projects/{project}/users", users=rows)["users"]
    developer.post(f"/users/{shop.users[-1]['id']}/remove")
    for user in shop.users[10:14]:
        developer.post(f"/users/{user['id']}/blacklist", reason="charge-back")
    return shop
