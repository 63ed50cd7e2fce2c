/** Whose a variable or a remote is, and the calls that are about it. */
import { call, type BodyOf } from "../../api/client";
import type { RemoteView, VariableView } from "../../api/types";

export interface Owner {
  kind: "project" | "script" | "key";
  id: string;
}

export async function variablesOf({ kind, id }: Owner, signal: AbortSignal): Promise<VariableView[]> {
  if (kind === "project") return (await call("GET /projects/{project_id}/variables", { project_id: id }, { signal })).variables;
  if (kind === "script") return (await call("GET /scripts/{script_id}/variables", { script_id: id }, { signal })).variables;
  return (await call("GET /users/{key}/variables", { key: id }, { signal })).variables;
}

export async function setVariable({ kind, id }: Owner, body: BodyOf<"POST /projects/{project_id}/variables">, etag: string | null): Promise<unknown> {
  if (kind === "project") return call("POST /projects/{project_id}/variables", { project_id: id }, { body, etag });
  if (kind === "script") return call("POST /scripts/{script_id}/variables", { script_id: id }, { body, etag });
  return call("POST /users/{key}/variables", { key: id }, { body, etag });
}

export async function remotesOf({ kind, id }: Owner, signal: AbortSignal): Promise<RemoteView[]> {
  if (kind === "script") return (await call("GET /scripts/{script_id}/remotes", { script_id: id }, { signal })).remotes;
  return (await call("GET /projects/{project_id}/remotes", { project_id: id }, { signal })).remotes;
}

export async function setRemote({ kind, id }: Owner, body: BodyOf<"POST /projects/{project_id}/remotes">, etag: string | null): Promise<unknown> {
  if (kind === "script") return call("POST /scripts/{script_id}/remotes", { script_id: id }, { body, etag });
  return call("POST /projects/{project_id}/remotes", { project_id: id }, { body, etag });
}

/** What somebody typed, as JSON means it; undefined where it is none. */
export function json(typed: string): unknown {
  try {
    return JSON.parse(typed);
  } catch {
    return undefined;
  }
}
