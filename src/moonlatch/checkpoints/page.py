"""The visitor's page as HTML that needs no script. Whatever is not ours is escaped here; decides nothing."""

from __future__ import annotations

from html import escape

from moonlatch.checkpoints import text
from moonlatch.licensing.checkpoints import PROVIDERS, ProviderName
from moonlatch.operations.visits import Away, Shown

STYLE = "page.css"
"""Where the style stands, below `/get/`: no page can, because of the dot."""

LOOK_AGAIN_SECONDS = 5


def visit(shown: Shown, *, now: int, base: str, problem: str = "", waits_for: str = "") -> bytes:
    """The page of a system as this visitor sees it. `base` is the address that all links begin with; `waits_for` a provider's title."""
    system = shown.system
    parts = [_alert(problem)] if problem else []
    if shown.attempt is not None and shown.is_open:
        parts.append(_under_way(shown, now=now, base=base, waits_for=waits_for))
        parts.extend(_keys(shown, now=now, base=base) if shown.keys else ())
    elif shown.keys:
        parts.extend(_keys(shown, now=now, base=base))
        if shown.is_open and len(shown.keys) < system.max_keys:
            parts.append(_card(text.ANOTHER, _lead(shown), _begin(shown, base)))
    elif shown.is_open:
        parts.append(_card(system.name, _lead(shown), _steps(shown), _begin(shown, base), _extend_other(shown, base)))
    else:
        parts.append(_card(system.name, "", "" if problem else _alert(text.AWAY[Away.CLOSED], "warn")))
    return _document(system.name, base, *parts, again_seconds=LOOK_AGAIN_SECONDS if waits_for and not problem else 0)


def message(title: str, words: str, *, base: str) -> bytes:
    """A page that says one thing."""
    return _document(title, base, _card(title, words))


def _under_way(shown: Shown, *, now: int, base: str, waits_for: str) -> str:
    assert shown.attempt is not None
    number = shown.attempt.steps + 1
    here = f"{base}/get/{shown.system.slug}"
    left = text.TIME_LEFT.format(time=text.time(shown.attempt.ends_at - now))
    waiting = ""
    if waits_for:
        again = f'<p><a href="{escape(here)}">{escape(text.RELOAD)}</a></p>'
        waiting = f'<div class="alert warn" role="status"><p>{escape(text.WAITING.format(provider=waits_for))}</p>{again}</div>'
    go = (
        f'<p><a class="button primary wide" rel="nofollow noreferrer" href="{escape(here)}/go">'
        f"{escape(text.CONTINUE.format(number=number))}</a></p>"
        f'<p class="hint">{escape(text.CONTINUE_HINT)}</p>'
    )
    return _card(shown.system.name, left, _steps(shown), waiting, go)


def _steps(shown: Shown) -> str:
    done = 0 if shown.attempt is None else shown.attempt.steps
    rows = []
    for number in range(1, shown.steps + 1):
        state = "done" if number <= done else "next" if number == done + 1 and shown.attempt is not None else ""
        name = text.STEP.format(number=number)
        if number == done + 1 and shown.next_steps and shown.next_steps[0].provider != ProviderName.CUSTOM:
            title = PROVIDERS[ProviderName(shown.next_steps[0].provider)].title
            name = text.STEP_BY.format(number=number, provider=title)
        word = {"done": text.DONE, "next": text.NEXT}.get(state, text.LATER if shown.attempt is not None else "")
        current = ' aria-current="step"' if state == "next" else ""
        rows.append(
            f'<li class="{state}"{current}><span class="mark" aria-hidden="true">{"✓" if state == "done" else number}</span>'
            f'<span>{escape(name)}</span><span class="state">{escape(word)}</span></li>'
        )
    return f'<ol class="steps" aria-label="{escape(text.STEPS)}">{"".join(rows)}</ol>'


def _begin(shown: Shown, base: str) -> str:
    return (
        f'<form method="post" action="{escape(base)}/get/{shown.system.slug}">'
        f'<button class="primary wide">{escape(text.BEGIN)}</button></form>'
    )


def _extend_other(shown: Shown, base: str) -> str:
    if not shown.system.allow_extending:
        return ""
    return (
        f"<details><summary>{escape(text.EXTEND_OTHER)}</summary>"
        f'<form method="post" action="{escape(base)}/get/{shown.system.slug}"><div class="field">'
        f'<label for="key">{escape(text.EXTEND_FIELD)}</label>'
        '<input id="key" name="key" required minlength="8" maxlength="64" autocomplete="off" spellcheck="false"></div>'
        f"<button>{escape(text.EXTEND)}</button></form></details>"
    )


def _keys(shown: Shown, *, now: int, base: str) -> list[str]:
    cards = []
    for key, user in shown.keys:
        lasts = text.KEY_FOREVER
        if user.key_expires is not None:
            lasts = text.KEY_TIME.format(time=text.time(user.key_expires - now))
        lead = text.KEY_USED_LEAD if user.executions else text.KEY_LEAD
        extend = ""
        can_last_longer = user.key_expires is not None and user.key_expires < now + shown.system.max_duration - 60_000
        if shown.system.allow_extending and shown.is_open and shown.attempt is None and can_last_longer:
            extend = (
                f'<form method="post" action="{escape(base)}/get/{shown.system.slug}">'
                f'<input type="hidden" name="key" value="{escape(key)}"><button class="wide">{escape(text.EXTEND)}</button></form>'
            )
        code = f'<code class="key">{escape(key)}</code>'
        title = text.KEY_TITLE
        cards.append(_card(title, f"{shown.system.name}. {lasts}", code, f'<p class="hint">{escape(lead)}</p>', extend))
    return cards


def _lead(shown: Shown) -> str:
    steps = text.LEAD_STEPS.get(shown.steps) or text.LEAD_MORE_STEPS.format(count=shown.steps)
    return text.LEAD_FREE.format(time=text.time(shown.system.key_duration), steps=steps)


def _alert(words: str, kind: str = "bad") -> str:
    return f'<p class="alert {kind}" role="alert">{escape(words)}</p>'


def _card(title: str, lead: str, *parts: str) -> str:
    under = f"<p>{escape(lead)}</p>" if lead else ""
    return f'<section class="card"><header><h1>{escape(title)}</h1>{under}</header>{"".join(parts)}</section>'


def _document(title: str, base: str, *parts: str, again_seconds: int = 0) -> bytes:
    again = f'<meta http-equiv="refresh" content="{again_seconds}">' if again_seconds else ""
    return (
        f'<!doctype html>\n<html lang="{text.LANGUAGE}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" content="noindex">\n'
        f"{again}<title>{escape(f'{text.TITLE}: {title}')}</title>\n"
        f'<link rel="stylesheet" href="{escape(base)}/get/{STYLE}">\n</head>\n<body>\n<main>\n{"".join(parts)}\n'
        f"<footer>{escape(text.FOOTER)}</footer>\n</main>\n</body>\n</html>\n"
    ).encode()
