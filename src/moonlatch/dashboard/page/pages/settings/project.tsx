/** What holds for a whole project. */
import { useSignal } from "@preact/signals";
import { ask, call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { may } from "../../api/session";
import type { EditProject } from "../../api/types";
import { loadProjects } from "../../data/projects";
import { Confirm } from "../../parts/confirm";
import { Choice, type Entered, FieldError, TextArea, TextField, Tick } from "../../parts/form";
import { SaveForm } from "../../parts/save";
import { Shown } from "../../parts/status";
import { tell } from "../../parts/toast";
import { SharingFields, sharingEntered } from "./sharing";
import type { PageProps } from "../../shell/pages";
import { go, to } from "../../shell/router";
import { text } from "../../text/en/settings";

const HOUR_MS = 3_600_000;

function optionsEntered(entered: Entered): NonNullable<EditProject["luraph_options"]> {
  try {
    return JSON.parse(entered.text("luraph_options") || "{}") as NonNullable<EditProject["luraph_options"]>;
  } catch {
    throw new FieldError("luraph_options", text.luraphOptionsWrong);
  }
}

export default function ProjectSettings({ project: id }: PageProps) {
  const isRemoving = useSignal(false);
  const loaded = useLoaded(`project ${id}`, (signal) => ask("GET /projects/{project_id}", { project_id: id }, { signal }));
  return (
    <div class="stack">
      <h1>{text.title}</h1>
      <Shown loaded={loaded}>
        {({ reply: { project }, etag }) => (
          <>
            <section class="card">
              <SaveForm
                etag={etag}
                reload={async () => {
                  await Promise.all([loaded.reload(), loadProjects()]);
                }}
                run={async (entered, version) => {
                  const hours = entered.number("fingerprint_reset_cooldown");
                  const body: EditProject = {
                    name: entered.text("name"),
                    require_fingerprint: entered.flag("require_fingerprint"),
                    allow_fingerprint_resets: entered.flag("allow_fingerprint_resets"),
                    fingerprint_reset_cooldown: typeof hours === "number" ? Math.round(hours * 3600) * 1000 : hours,
                    delete_expired_users: entered.flag("delete_expired_users"),
                    max_instances: entered.number("max_instances") ?? "",
                    max_devices: entered.number("max_devices") ?? 1,
                    sharing: sharingEntered(entered, project.sharing),
                    luraph_options: optionsEntered(entered),
                    engine: entered.text("engine") as "embedded" | "luraph",
                    execution_webhook: entered.text("execution_webhook"),
                    information_webhook: entered.text("information_webhook"),
                    blacklist_webhook: entered.text("blacklist_webhook"),
                  };
                  await call("POST /projects/{project_id}/edit", { project_id: id }, { body, etag: version });
                }}
              >
                <fieldset class="fields" disabled={!may("projects:write")}>
                  <TextField name="name" label={text.name} defaultValue={project.name} maxLength={100} required />
                  <Tick name="require_fingerprint" label={text.requireFingerprint} hint={text.requireFingerprintHint} defaultChecked={project.require_fingerprint} />
                  <Tick name="allow_fingerprint_resets" label={text.resets} hint={text.resetsHint} defaultChecked={project.allow_fingerprint_resets} />
                  <Tick name="delete_expired_users" label={text.deleteExpired} hint={text.deleteExpiredHint} defaultChecked={project.delete_expired_users} />
                  <div class="fields two">
                    <TextField name="fingerprint_reset_cooldown" label={text.cooldown} hint={text.cooldownHint} inputMode="decimal" defaultValue={String(project.fingerprint_reset_cooldown / HOUR_MS)} />
                    <TextField name="max_instances" label={text.copies} hint={text.copiesHint} inputMode="numeric" defaultValue={project.max_instances === null ? "" : String(project.max_instances)} />
                    <TextField name="max_devices" label={text.devices} hint={text.devicesHint} inputMode="numeric" defaultValue={String(project.max_devices)} />
                    <Choice name="engine" label={text.engine} options={text.engines} defaultValue={project.engine} />
                  </div>
                  <details open={project.engine === "luraph"}>
                    <summary>{text.luraphOptions}</summary>
                    <div class="fields inset">
                      <TextArea name="luraph_options" label={text.luraphOptions} hint={text.luraphOptionsHint} class="mono" defaultValue={JSON.stringify(project.luraph_options, null, 2)} />
                    </div>
                  </details>
                  <SharingFields sharing={project.sharing} />
                  <h2>{text.webhooks}</h2>
                  <p class="small quiet">{text.webhooksHint}</p>
                  <TextField name="execution_webhook" label={text.executionWebhook} defaultValue={project.execution_webhook ?? ""} inputMode="url" maxLength={2048} />
                  <TextField name="information_webhook" label={text.informationWebhook} defaultValue={project.information_webhook ?? ""} inputMode="url" maxLength={2048} />
                  <TextField name="blacklist_webhook" label={text.blacklistWebhook} defaultValue={project.blacklist_webhook ?? ""} inputMode="url" maxLength={2048} />
                </fieldset>
              </SaveForm>
            </section>
            {may("projects:write") && (
              <section class="card row between">
                <div class="grow">
                  <h2>{text.danger}</h2>
                  <p class="small quiet">{text.dangerMore}</p>
                </div>
                <button type="button" class="danger" onClick={() => (isRemoving.value = true)}>
                  {text.danger}
                </button>
              </section>
            )}
            {isRemoving.value && (
              <Confirm
                title={text.danger}
                name={project.name}
                submit={text.danger}
                onClose={() => (isRemoving.value = false)}
                run={async () => {
                  await call("POST /projects/{project_id}/remove", { project_id: id });
                  await loadProjects();
                  tell(text.removed(project.name));
                  go(to("/"));
                }}
              >
                <p>{text.dangerMore}</p>
              </Confirm>
            )}
          </>
        )}
      </Shown>
    </div>
  );
}
