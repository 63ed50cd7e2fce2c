"""Every word that a visitor reads. Holds no markup: `page` puts it where it belongs."""

from __future__ import annotations

from moonlatch.clock import DAY_MS, HOUR_MS, MINUTE_MS
from moonlatch.operations.visits import Away

LANGUAGE = "en"

TITLE = "Get a key"
LEAD_FREE = "Free, for {time}. {steps}."
LEAD_STEPS = {1: "One step"}
LEAD_MORE_STEPS = "{count} steps"
STEPS = "Steps"
STEP = "Step {number}"
STEP_BY = "Step {number}: {provider}"
DONE = "done"
NEXT = "next"
LATER = "later"
BEGIN = "Begin"
CONTINUE = "Continue with step {number}"
CONTINUE_HINT = (
    "You leave this page, and come back by yourself when the step is done. Come back in this browser, and do not hurry."
)
TIME_LEFT = "{time} left for all steps."
WAITING = (
    "You are back, and {provider} has not confirmed the step yet. This page looks again by itself every few seconds."
)
RELOAD = "Look again"
NOT_THERE = "There is no such page"
NOT_THERE_LEAD = "The address may be misspelt, or its owner has removed the page. Ask where you found the link."
KEY_TITLE = "Your key"
KEY_LEAD = "Only this browser is shown it. Start the script with it in the network that you are in now: then it belongs to your device."
KEY_USED_LEAD = "It belongs to your device by now."
KEY_TIME = "Good for another {time}."
KEY_FOREVER = "It does not expire."
EXTEND = "Make it last longer"
EXTEND_OTHER = "You have a key from here already, in another browser?"
EXTEND_FIELD = "Your key"
ANOTHER = "Get another key"
BAD_FORM = "The form did not arrive whole. Go back, and try again."
ELSEWHERE = "Another page sent you here with a form of its own. Open this page itself, and begin here."
UNAVAILABLE = "The server cannot answer at the moment. Nothing of what you did is lost: try again in a minute."
TOO_MANY = "Too many pages were opened from your network. Try again in {seconds} seconds."
ONLY_GET = "This page takes GET and POST."
FOOTER = "Keys by Moonlatch"

PROVIDER_DOWN = "{provider} does not answer at the moment. Nothing of what you did is lost: try again in a few minutes."

AWAY: dict[Away, str] = {
    Away.CLOSED: "No keys are given here at the moment. Ask the owner of the script when there are some again.",
    Away.NO_WAY: "The next step does not work at the moment, because its provider does not answer. "
    "Nothing of what you did is lost: try again in a few minutes.",
    Away.NOT_BEGUN: "Begin here: there is no attempt of this browser, or its time is over. "
    "If you did begin, come back in the browser in which you began, with cookies allowed.",
    Away.TOO_MANY_KEYS: "You have as many keys as you may have at once. Use the one you have, or come back when it has expired.",
    Away.DAILY_LIMIT: "You have had as many keys today as you may have. Come back tomorrow.",
    Away.NETWORK_LIMIT: "So many keys were given to your network today that there are none left for it. Come back tomorrow, or use another network.",
    Away.TOO_MANY_TRIES: "You have tried too often. Come back in two hours.",
    Away.NOT_EXTENDABLE: "This key cannot be made to last longer: it is not one from this page, or no longer there.",
    Away.LONG_ENOUGH: "This key lasts as long as a key from here may. Come back later.",
    Away.UNKNOWN_CALLBACK: "This link back is not one of yours. Continue from here.",
    Away.WRONG_STEP: "This was another step than the one that comes next. Continue from here.",
    Away.USED: "This link back was used already. Continue from here.",
    Away.TOO_FAST: "That was too fast to have been done. Go through the step once more, and take the time that it asks for.",
    Away.PROOF_USED: "This proof of the step was used already. Go through the step once more.",
    Away.NOT_PROVEN: "The step was not confirmed: it was not gone through to its end, or too long ago. "
    "Go through it once more, without tools that skip it.",
    Away.WRONG_NETWORK: "You came back in another network than the one in which you began. "
    "Switch VPNs off, stay in one network, and begin again.",
    Away.FULL: "There are no keys left at the moment. Ask the owner of the script for more.",
}


def time(milliseconds: int) -> str:
    """A duration for people, rounded up: `5 minutes`, `24 hours`, `7 days`."""
    minutes = max(1, -(-milliseconds // MINUTE_MS))
    for unit, name in ((DAY_MS, "day"), (HOUR_MS, "hour")):
        if minutes * MINUTE_MS >= 2 * unit:
            return f"{-(-minutes * MINUTE_MS // unit)} {name}s"
    return "1 minute" if minutes == 1 else f"{minutes} minutes"
