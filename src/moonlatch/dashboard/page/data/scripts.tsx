/** Names of a project's scripts, for pages that only know their ids. */
import { call } from "../api/client";
import { type Loaded, useLoaded } from "../api/load";
import type { ScriptView } from "../api/types";
import { to } from "../shell/router";

const MOST = 1000;

export function useScripts(project: string): Loaded<ScriptView[]> {
  return useLoaded(`scripts ${project}`, async (signal) => (await call("GET /projects/{project_id}/scripts", { project_id: project }, { query: { limit: MOST }, signal })).scripts);
}

const names = new Map<string, Promise<ReadonlyMap<string, string>>>();

export function ScriptName({ project, id }: { project: string; id: string }) {
  const loaded = useLoaded(`script names ${project}`, () => namesOf(project));
  const name = loaded.data.value?.get(id);
  return name === undefined ? <code class="clip">{id}</code> : <a class="clip" href={to(`/projects/${project}/scripts/${id}`)}>{name}</a>;
}

/** Asked for once for all rows of a table. */
function namesOf(project: string): Promise<ReadonlyMap<string, string>> {
  let asked = names.get(project);
  if (!asked) {
    asked = call("GET /projects/{project_id}/scripts", { project_id: project }, { query: { limit: MOST } })
      .then(({ scripts }) => new Map(scripts.map((script) => [script.id, script.name])))
      .finally(() => names.delete(project));
    names.set(project, asked);
  }
  return asked;
}
