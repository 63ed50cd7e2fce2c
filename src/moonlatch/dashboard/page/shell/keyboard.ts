/** Keys that work on every page, except while somebody writes. */
import { may } from "../api/session";
import { current } from "../data/projects";
import { areShortcutsShown, isOpen } from "./open";
import { addressOf, ROUTES } from "./pages";
import { go } from "./router";

const SECOND_KEY_MS = 1200;
/** When no first key was pressed; 0 is when the page began, and any key soon after it would be a second one. */
const NEVER = Number.NEGATIVE_INFINITY;

export function listen(): () => void {
  let first = NEVER;

  function pressed(event: KeyboardEvent) {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      isOpen.value = true;
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event) || document.querySelector("dialog[open]")) return;
    if (event.timeStamp - first < SECOND_KEY_MS) {
      first = NEVER;
      const route = ROUTES.find((each) => each.key === event.key);
      const project = current.value?.id ?? "";
      if (route && (route.group === "account" || project) && (!route.permission || may(route.permission))) {
        event.preventDefault();
        go(addressOf(route, project));
      }
    } else if (event.key === "g") first = event.timeStamp;
    else if (event.key === "/") {
      const search = document.querySelector<HTMLElement>("main input[type='search']");
      if (search) {
        event.preventDefault();
        search.focus();
      }
    } else if (event.key === "?") areShortcutsShown.value = true;
  }

  addEventListener("keydown", pressed);
  return () => removeEventListener("keydown", pressed);
}

function isWriting(event: KeyboardEvent): boolean {
  // The innermost, also where an editor has a tree of its own.
  const target = event.composedPath()[0];
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}
