/** How a script is set. */
import { useSignal } from "@preact/signals";
import { call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { may } from "../../api/session";
import type { EditScript, ScriptView } from "../../api/types";
import { Confirm } from "../../parts/confirm";
import { Choice, TextField, Tick } from "../../parts/form";
import { SaveForm } from "../../parts/save";
import { Shown } from "../../parts/status";
import { tell } from "../../parts/toast";
import { RotateLoader } from "./rotate_loader";
import { go, to } from "../../shell/router";
import { text } from "../../text/en/scripts";

export function ScriptSettings({ script, etag, reload }: { script: ScriptView; etag: string | null; reload: () => Promise<void> }) {
  const at = { script_id: script.id };
  const isRemoving = useSignal(false);
  const protection = useLoaded(`protection ${script.id}`, async (signal) => (await call("GET /scripts/{script_id}/protection", at, { signal })).protection);
  return (
    <Shown loaded={protection}>
      {({ profile, target, engine, effective }) => (
        <>
          <SaveForm
            etag={etag}
            reload={async () => {
              await Promise.all([protection.reload(), reload()]);
            }}
            run={async (entered, version) => {
              const body: EditScript = {
                name: entered.text("name"),
                free_for_all: entered.flag("free_for_all"),
                use_heartbeat: entered.flag("use_heartbeat"),
                kick_outdated: entered.flag("kick_outdated"),
                require_sessions: entered.flag("require_sessions"),
                place_seconds: entered.number("place_seconds") ?? 0,
                report_errors: entered.flag("report_errors"),
                mark_copies: entered.flag("mark_copies"),
                offline_days: entered.number("offline_days") ?? 0,
                profile: entered.text("profile") as NonNullable<EditScript["profile"]>,
                target: entered.text("target") as NonNullable<EditScript["target"]>,
                engine: entered.text("engine") as NonNullable<EditScript["engine"]>,
              };
              await call("POST /scripts/{script_id}/edit", at, { body, etag: version });
            }}
          >
            <fieldset class="fields" disabled={!may("scripts:write")}>
              <TextField name="name" label={text.name} defaultValue={script.name} maxLength={100} required />
              <Tick name="free_for_all" label={text.ffa} hint={text.ffaHint} defaultChecked={script.free_for_all} />
              <Tick name="use_heartbeat" label={text.heartbeat} hint={text.heartbeatHint} defaultChecked={script.use_heartbeat} />
              <Tick name="kick_outdated" label={text.kickOutdated} defaultChecked={script.kick_outdated} />
              <Tick name="require_sessions" label={text.requireSessions} hint={text.requireSessionsHint} defaultChecked={script.require_sessions} />
              <Tick name="report_errors" label={text.reportErrors} hint={text.reportErrorsHint} defaultChecked={script.report_errors} />
              <Tick name="mark_copies" label={text.markCopies} hint={text.markCopiesHint} defaultChecked={script.mark_copies} />
              <TextField name="place_seconds" label={text.placeSeconds} hint={text.placeSecondsHint} inputMode="numeric" defaultValue={String(script.place_seconds)} />
              <TextField name="offline_days" label={text.offlineDays} hint={text.offlineDaysHint} inputMode="numeric" defaultValue={String(script.offline_days)} />
              <div class="fields two">
                <Choice name="profile" label={text.profile} hint={text.profileHint} options={text.profiles} defaultValue={profile ?? ""} />
                <Choice name="target" label={text.target} options={text.targets} defaultValue={target ?? ""} />
                <Choice name="engine" label={text.engine} options={text.engines} defaultValue={engine ?? ""} />
              </div>
              <p class="small quiet">{text.page.protectedWith(effective.profile, effective.engine)}</p>
            </fieldset>
          </SaveForm>
          <hr />
          {may("scripts:publish") && script.enabled && <RotateLoader script={script} />}
          {may("scripts:write") && (
            <div class="row between">
              <p class="small quiet grow">{text.page.removeMore}</p>
              <button type="button" class="danger" onClick={() => (isRemoving.value = true)}>
                {text.page.remove}
              </button>
            </div>
          )}
          {isRemoving.value && (
            <Confirm
              title={text.page.remove}
              name={script.name}
              submit={text.page.remove}
              onClose={() => (isRemoving.value = false)}
              run={async () => {
                await call("POST /scripts/{script_id}/remove", at);
                tell(text.page.removed(script.name));
                go(to(`/projects/${script.project_id}/scripts`));
              }}
            >
              <p>{text.page.removeMore}</p>
            </Confirm>
          )}
        </>
      )}
    </Shown>
  );
}
