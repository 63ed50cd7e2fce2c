/** What the page must know of whoever comes before it shows anything else. */
import { batch } from "@preact/signals";
import { call } from "../api/client";
import { me } from "../api/session";
import { loadProjects } from "./projects";

/** Find out who it is, and which projects there are. Raises ApiError where they are not let in. */
export async function arrive(): Promise<void> {
  const { account } = await call("GET /account", {});
  await loadProjects();
  batch(() => {
    me.value = { kind: "token", name: account.name, accountName: account.name, permissions: null, csrf: null };
  });
}
