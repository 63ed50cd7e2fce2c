"""What is said back: messages, dialogs and suggestions within Discord's documented limits, that mention nobody. Pure.

Limits: https://docs.discord.com/developers/resources/message#create-message and /developers/components/reference
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from moonlatch.licensing.discord import cut
from moonlatch.web.discord_api import File

MOST_CHARACTERS = 2_000
"""Of a message's text."""

MOST_CHOICES = 25
MOST_BUTTONS = 5
"""In one row."""

_EPHEMERAL = 1 << 6
_LABEL, _PLACEHOLDER, _TITLE, _CHOICE = 80, 100, 45, 100
_EMBED_TITLE, _EMBED_TEXT = 256, 4_000


class AnswerKind(IntEnum):
    """How an interaction is answered."""

    PONG = 1
    MESSAGE = 4
    LATER = 5
    CHOICES = 8
    DIALOG = 9


class Style(IntEnum):
    """Of a button."""

    PRIMARY = 1
    SECONDARY = 2
    SUCCESS = 3
    DANGER = 4


@dataclass(frozen=True, slots=True)
class Button:
    label: str
    custom_id: str
    style: Style = Style.SECONDARY


@dataclass(frozen=True, slots=True)
class Reply:
    """A message. Only who asked sees it, unless it `is_public`. `title` makes it an embed."""

    text: str
    title: str | None = None
    buttons: Sequence[Button] = ()
    files: Sequence[File] = ()
    is_public: bool = False

    def body(self) -> dict[str, Any]:
        """The message as Discord takes it."""
        message: dict[str, Any] = {"allowed_mentions": {"parse": []}}
        if self.title is None:
            message["content"] = cut(self.text, MOST_CHARACTERS)
        else:
            message["embeds"] = [{"title": cut(self.title, _EMBED_TITLE), "description": cut(self.text, _EMBED_TEXT)}]
        if self.buttons:
            message["components"] = [
                {"type": 1, "components": [_button(each) for each in self.buttons[begin : begin + MOST_BUTTONS]]}
                for begin in range(0, len(self.buttons), MOST_BUTTONS)
            ]
        if self.files:
            message["attachments"] = [{"id": number, "filename": file.name} for number, file in enumerate(self.files)]
        return message


@dataclass(frozen=True, slots=True)
class Dialog:
    """A dialog with one field of text."""

    custom_id: str
    title: str
    label: str
    field: str
    placeholder: str
    shortest: int
    longest: int


@dataclass(frozen=True, slots=True)
class Choices:
    """Suggestions for an option: name and value of each."""

    choices: Sequence[tuple[str, str]]


def answer_of(said: Reply | Dialog | Choices) -> dict[str, Any]:
    """The answer to an interaction."""
    match said:
        case Reply():
            flags = {} if said.is_public else {"flags": _EPHEMERAL}
            return {"type": AnswerKind.MESSAGE, "data": {**said.body(), **flags}}
        case Choices():
            choices = [{"name": cut(name, _CHOICE) or "…", "value": value} for name, value in said.choices]
            return {"type": AnswerKind.CHOICES, "data": {"choices": choices[:MOST_CHOICES]}}
        case Dialog():
            return {"type": AnswerKind.DIALOG, "data": _dialog(said)}


def later(*, is_public: bool) -> dict[str, Any]:
    """The answer that says that the real one follows."""
    return {"type": AnswerKind.LATER, "data": {} if is_public else {"flags": _EPHEMERAL}}


PONG: dict[str, Any] = {"type": AnswerKind.PONG}


def _button(button: Button) -> dict[str, Any]:
    return {"type": 2, "style": button.style, "label": cut(button.label, _LABEL), "custom_id": button.custom_id}


def _dialog(dialog: Dialog) -> dict[str, Any]:
    field = {
        "type": 4,
        "custom_id": dialog.field,
        "style": 1,
        "min_length": dialog.shortest,
        "max_length": dialog.longest,
        "placeholder": cut(dialog.placeholder, _PLACEHOLDER),
        "required": True,
    }
    label = {"type": 18, "label": cut(dialog.label, _TITLE), "component": field}
    return {"custom_id": dialog.custom_id, "title": cut(dialog.title, _TITLE), "components": [label]}
