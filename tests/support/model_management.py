"""What calls of the management API and the operator do, as plain objects in memory, and the events that they leave.

One account; every script is in its project `home`, and so is every user that is started with. A method does what a call does
and gives its outcome: None for success, or the refusal. What a dry run, a replay and a broken transaction do is nothing: who
uses the model keeps a copy from before. Times in milliseconds.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from support.model_events import (
    CHANGED_MEANWHILE,
    EXPIRED_ACCOUNT,
    NOT_ALLOWED,
    NOT_FOUND,
    Actor,
    Project,
    Refused,
    Script,
    Token,
    forget_whose,
)
from support.model_users import Users


class ManagedModel(Users):
    # Projects.

    def new_project_refusal(self) -> Refused | None:
        if self.actor.projects is not None:
            return NOT_ALLOWED
        if self.account_expired:
            return EXPIRED_ACCOUNT
        return Refused(1, 403) if self.is_full(self.limits.projects, len(self.projects)) else None

    def create_project(self, project: str, name: str) -> None:
        self.projects[project] = Project(name)
        self.leave("project.created", ("project", project, name), project)

    def edit_project(self, project: str, changes: dict[str, Any]) -> Refused | None:
        found = self.project_reached(project)
        if found is None:
            return NOT_FOUND
        if self.account_expired:
            return EXPIRED_ACCOUNT
        if not changes:
            return Refused(1, 400)
        if self.is_stale:
            return CHANGED_MEANWHILE
        before = copy.copy(found)
        for name, value in changes.items():
            setattr(found, name, value)
        if found.delete_expired_users and not before.delete_expired_users:
            found.deletes_since = self.now
        differences = {name: [getattr(before, name), getattr(found, name)] for name in changes}
        shown = {name: each for name, each in differences.items() if each[0] != each[1]}
        if "execution_webhook" in shown:
            shown["execution_webhook"] = [_host_of(url) for url in shown["execution_webhook"]]
        self.leave("project.edited", ("project", project, found.name), project, shown)
        self.look_again()
        return None

    def remove_project(self, project: str) -> Refused | None:
        found = self.project_reached(project)
        if found is None:
            return NOT_FOUND
        if self.is_stale:
            return CHANGED_MEANWHILE
        del self.projects[project]
        self.users = {key: user for key, user in self.users.items() if user.project != project}
        self.removed = {key: each for key, each in self.removed.items() if each[0].project != project}
        for event in self.all_events():
            if event.project == project and event.resource[0] == "user":
                forget_whose(event)
        self.leave("project.removed", ("project", project, found.name), project)
        return None

    # Scripts.

    def new_script_refusal(self, *, free_for_all: bool) -> Refused | None:
        if self.project_reached(self.home) is None:
            return NOT_FOUND
        if self.account_expired:
            return EXPIRED_ACCOUNT
        if self.is_full(self.limits.scripts, len(self.scripts)):
            return Refused(1, 403)
        return Refused(2, 403) if free_for_all and not self.limits.free_for_all else None

    def create_script(self, script: str, *, free_for_all: bool) -> None:
        new = self.scripts[script] = Script(free_for_all, id=script)
        self.leave("script.created", new.resource, self.home)

    def update(self, script_id: str, *, valid: bool, profile: str = "light", left: int | None = None) -> Refused | None:
        """Publish a build; `left` is how many more protections the account's tier allows, None any number."""
        script = self.scripts.get(script_id)
        if script is None:
            return NOT_FOUND
        if self.account_expired:
            return EXPIRED_ACCOUNT
        if left is not None and left < 1:
            return Refused(1, 403)
        if not valid:
            return Refused(2, 422)
        if left is not None and left < 2 and script.build == 0:
            return Refused(4, 403)
        if self.is_stale:
            return CHANGED_MEANWHILE
        before = script.build or None
        script.enabled = script.enabled or script.build == 0
        script.build += 1
        shown = {"build": [before, script.build], "profile": [None, profile]}
        self.leave("script.published", script.resource, self.home, shown)
        self.look_again()
        return None

    def rotate_loader(self, script_id: str, grace: int, *, left: int | None = None) -> Refused | None:
        """Serve a loader with a new secret; `left` as for `update`."""
        script = self.scripts.get(script_id)
        if script is None:
            return NOT_FOUND
        if self.account_expired:
            return EXPIRED_ACCOUNT
        if script.build == 0:
            return Refused(1, 409)
        if left is not None and left < 1:
            return Refused(2, 403)
        if self.is_stale:
            return CHANGED_MEANWHILE
        self.leave("script.loader_rotated", script.resource, self.home, {"grace": [None, grace]})
        return None

    def toggle(self, script_id: str, *, on: bool) -> Refused | None:
        script = self.scripts.get(script_id)
        if script is None:
            return NOT_FOUND
        if self.account_expired:
            return EXPIRED_ACCOUNT
        if self.is_stale:
            return CHANGED_MEANWHILE
        if on and script.build == 0:
            return Refused(1, 409)
        shown = {} if script.enabled == on else {"enabled": [script.enabled, on]}
        script.enabled = on
        self.leave("script.enabled" if on else "script.disabled", script.resource, self.home, shown)
        self.look_again()
        return None

    def edit_script(self, script_id: str, changes: dict[str, bool]) -> Refused | None:
        script = self.scripts.get(script_id)
        if script is None:
            return NOT_FOUND
        if self.account_expired:
            return EXPIRED_ACCOUNT
        if not changes:
            return Refused(1, 400)
        if changes.get("free_for_all") and not self.limits.free_for_all:
            return Refused(2, 403)
        if self.is_stale:
            return CHANGED_MEANWHILE
        shown = {name: [getattr(script, name), value] for name, value in changes.items()}
        for name, value in changes.items():
            setattr(script, name, value)
        shown = {name: each for name, each in shown.items() if each[0] != each[1]}
        self.leave("script.edited", script.resource, self.home, shown)
        self.look_again()
        return None

    def remove_script(self, script_id: str) -> Refused | None:
        script = self.scripts.get(script_id)
        if script is None:
            return NOT_FOUND
        if self.is_stale:
            return CHANGED_MEANWHILE
        del self.scripts[script_id]
        self.executions_of_removed += script.total_executions
        self.leave("script.removed", script.resource, self.home)
        self.look_again()
        return None

    # Account and tokens.

    def new_token_refusal(
        self, route: str, permissions: Sequence[str] | None, projects: Sequence[str] | None
    ) -> Refused | None:
        for permission in permissions or ():
            if not self.actor.may(permission):
                return self.refuse_permission(route, permission)
        return None if all(self.project_reached(project) for project in projects or ()) else NOT_FOUND

    def create_token(
        self, token: str, name: str, permissions: Sequence[str] | None, projects: Sequence[str] | None
    ) -> Actor:
        """Gives whom it stands for."""
        kept_permissions = self.actor.permissions if permissions is None else tuple(permissions)
        kept_projects = self.actor.projects if projects is None else tuple(projects)
        self.tokens[token] = Token(token, name, kept_permissions, kept_projects)
        lists = [None if each is None else list(each) for each in (kept_permissions, kept_projects)]
        shown = {"permissions": [None, lists[0]], "projects": [None, lists[1]]}
        self.leave("token.created", ("token", token, name), changes=shown)
        return Actor("token", token, name, kept_permissions, kept_projects)

    def revoke_token(self, route: str, token: str, permissions_there_are: Sequence[str]) -> Refused | None:
        found = self.tokens.get(token)
        if found is None:
            return NOT_FOUND
        own = self.actor.projects
        if own is not None and (found.projects is None or not set(found.projects) <= set(own)):
            return NOT_FOUND
        for permission in permissions_there_are if found.permissions is None else found.permissions:
            if not self.actor.may(permission):
                return self.refuse_permission(route, permission)
        if not found.is_revoked:
            found.is_revoked = True
            self.leave("token.revoked", ("token", token, found.name))
        return None

    def set_luraph_key(self, key: str | None) -> Refused | None:
        if self.actor.projects is not None:
            return NOT_ALLOWED
        if key is not None and self.account_expired:
            return EXPIRED_ACCOUNT
        kind = "account.luraph_key_cleared" if key is None else "account.luraph_key_set"
        self.leave(kind, ("account", *self.account))
        return None

    def create_account(self, account: str, name: str, token: str, token_name: str) -> Actor:
        """The operator's; gives whom its first token stands for."""
        self.account = (account, name)
        self.leave("account.created", ("account", account, name))
        return self.create_token(token, token_name, None, None)

    def edit_account(self, **changes: Any) -> None:
        """The operator's: `tier` and `expires_at`."""
        before = {"tier": self.tier, "expires_at": self.account_expires}
        self.tier = changes.get("tier", self.tier)
        self.account_expires = changes.get("expires_at", self.account_expires)
        shown = {name: [before[name], value] for name, value in changes.items() if before[name] != value}
        self.leave("account.edited", ("account", *self.account), changes=shown)
        self.look_again()

    def rename_account(self, name: str) -> None:
        before, self.account = self.account[1], (self.account[0], name)
        self.leave("account.edited", ("account", *self.account), changes={"name": [before, name]})

    def remove_account(self) -> None:
        """The operator's, with all its projects."""
        for event in self.all_events():
            forget_whose(event)
        self.leave("account.removed", ("account", self.account[0], None))


def _host_of(url: str | None) -> str | None:
    return None if url is None else url.split("/")[2] + "/…"
