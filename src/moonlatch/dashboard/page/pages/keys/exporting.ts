/** Every key that fits, as a file for a spreadsheet. */
import { call } from "../../api/client";
import type { Whom } from "../../api/types";
import { written } from "../../parts/csv";
import { download } from "../../parts/download";
import { tellFailure } from "../../parts/toast";

const SIZE = 1000;
const COLUMNS = ["key", "discord_id", "note", "key_days", "key_expires", "max_instances", "max_executions", "max_devices", "fingerprintless", "id", "executions", "blacklisted", "blacklist_reason", "executor", "created_at"] as const;
const TIMES = new Set<string>(["key_expires", "created_at"]);

export async function exportKeys(project: string, who: Omit<Whom, "all">): Promise<void> {
  const rows: unknown[][] = [[...COLUMNS]];
  try {
    for (let from = 0; ; from += SIZE) {
      const { users } = await call("GET /projects/{project_id}/users", { project_id: project }, { query: { ...who, from, limit: SIZE } });
      rows.push(...users.map((user) => COLUMNS.map((name) => (TIMES.has(name) && user[name] !== null ? new Date(user[name] as number).toISOString() : user[name]))));
      if (users.length < SIZE) break;
    }
    download("keys.csv", "text/csv", written(rows));
  } catch (failure) {
    tellFailure(failure);
  }
}
