/** The account's projects: which there are, and which one is being looked at. */
import { computed, signal } from "@preact/signals";
import { call } from "../api/client";
import type { ProjectView } from "../api/types";
import { path } from "../shell/router";

const MOST = 1000;
const LAST_NAME = "moonlatch.project";

/** undefined until they were asked for. */
export const projects = signal<ProjectView[] | undefined>(undefined);

const last = signal<string | null>(sessionStorage.getItem(LAST_NAME));

/** The project in the address, else the one looked at before, else the first. */
export const current = computed<ProjectView | undefined>(() => {
  const all = projects.value ?? [];
  const named = /^\/projects\/([^/]+)/.exec(path.value)?.[1] ?? last.value;
  return all.find((project) => project.id === named) ?? all[0];
});

export async function loadProjects(): Promise<void> {
  projects.value = (await call("GET /projects", {}, { query: { limit: MOST } })).projects;
}

export function remember(id: string): void {
  last.value = id;
  sessionStorage.setItem(LAST_NAME, id);
}
