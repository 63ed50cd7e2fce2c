/** What the page must know of whoever comes before it shows anything else. */
import { call } from "../api/client";
import { may, me, signedOut } from "../api/session";
import type { MeView } from "../api/types";
import { loadProjects } from "./projects";

/** Find out who it is, by what their browser holds, and which projects there are. Raises ApiError 401 for nobody. */
export async function arrive(): Promise<void> {
  await welcome((await call("GET /me", {})).me);
}

/** Whoever has just proved who they are. */
export async function welcome(who: MeView): Promise<void> {
  const before = me.value;
  me.value = who;
  try {
    if (may("projects:read")) await loadProjects();
  } catch (failure) {
    if (me.value === who) me.value = before;
    throw failure;
  }
}

/** End the session, on the server too. */
export async function signOut(): Promise<void> {
  if (me.value?.kind === "member") await call("POST /me/sign_out", {}).catch(() => undefined);
  signedOut();
}
