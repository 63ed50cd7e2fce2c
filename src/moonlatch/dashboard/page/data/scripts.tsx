/** A project's scripts, for pages that show them and for those that only know their ids. */
import { call } from "../api/client";
import { type Loaded, type Question, useLoaded } from "../api/load";
import type { ScriptView } from "../api/types";
import { to } from "../shell/router";

const MOST = 1000;

export function scriptsOf(project: string): Question<ScriptView[]> {
  return [`scripts ${project}`, async (signal) => (await call("GET /projects/{project_id}/scripts", { project_id: project }, { query: { limit: MOST }, signal })).scripts];
}

/** Asked for once for a whole table, not by each row that names one. */
export function useScripts(project: string): Loaded<ScriptView[]> {
  return useLoaded(...scriptsOf(project));
}

/** A script's name; its id until `scripts` are there, and where it has gone. */
export function ScriptName({ scripts, project, id }: { scripts: readonly ScriptView[] | undefined; project: string; id: string }) {
  const name = scripts?.find((script) => script.id === id)?.name;
  return name === undefined ? <code class="clip">{id}</code> : <a class="clip" href={to(`/projects/${project}/scripts/${id}`)}>{name}</a>;
}
