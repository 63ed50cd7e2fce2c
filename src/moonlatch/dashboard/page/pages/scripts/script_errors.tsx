/** What went wrong in running copies of a script, where that is in its source, and what is thought of it. */
import { useSignal } from "@preact/signals";
import { call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { may } from "../../api/session";
import type { ErrorView, ScriptView } from "../../api/types";
import { Dialog } from "../../parts/dialog";
import { Choice } from "../../parts/form";
import { Foot } from "../../parts/pages";
import { Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { numberOf, Time } from "../../parts/time";
import { tell, tellFailure } from "../../parts/toast";
import { place } from "../../shell/router";
import { text as words } from "../../text/en/script_errors";

const SIZE = 50;

type State = "open" | "resolved" | "ignored";

export function ScriptErrors({ script }: { script: ScriptView }) {
  const from = Math.max(0, Number(place.value.query.get("from")) || 0);
  const state = useSignal<State | "">("open");
  const shown = useSignal<string | null>(null);
  const loaded = useLoaded(
    `errors ${script.id} ${state.value} ${from}`,
    async (signal) => (await call("GET /scripts/{script_id}/errors", { script_id: script.id }, { query: { from, limit: SIZE, ...(state.value && { state: state.value }) }, signal })).errors,
  );
  return (
    <>
      <div class="row between">
        <div class="grow">
          <h2>{words.title}</h2>
          <p class="small quiet">{words.more}</p>
        </div>
        <Choice name="state" label={words.shown} options={words.choices} value={state.value} onChange={(event) => (state.value = event.currentTarget.value as State | "")} />
      </div>
      {!script.report_errors && <p class="quiet">{words.off}</p>}
      <Shown loaded={loaded}>
        {(errors) =>
          errors.length === 0 && from === 0 ? (
            <p class="quiet">{words.none}</p>
          ) : (
            <>
              <Table
                caption={words.title}
                rows={errors}
                keyOf={(each) => each.id}
                columns={[
                  { label: words.message, isLead: true, show: (each) => <strong class="wrap">{each.message}</strong> },
                  { label: words.where, show: (each) => <span class="wrap">{whereOf(each)}</span> },
                  { label: words.build, show: (each) => <span class="number">{each.build}</span> },
                  { label: words.copies, show: (each) => numberOf(each.instances) },
                  { label: words.keys, show: (each) => numberOf(each.keys) },
                  { label: words.last, show: (each) => <Time at={each.last_seen} /> },
                  { label: words.state, show: (each) => <span class={each.state === "open" ? "badge bad" : "badge"}>{words.states[each.state]}</span> },
                  {
                    label: words.show,
                    isAction: true,
                    show: (each) => (
                      <button type="button" class="small" aria-label={`${words.show}: ${each.message}`} onClick={() => (shown.value = each.id)}>
                        {words.show}
                      </button>
                    ),
                  },
                ]}
              />
              {(from > 0 || errors.length === SIZE) && <Foot from={from} many={errors.length} size={SIZE} isLast={errors.length < SIZE} />}
            </>
          )
        }
      </Shown>
      {shown.value !== null && <OneError id={shown.value} onClose={() => (shown.value = null)} reload={loaded.reload} />}
    </>
  );
}

function OneError({ id, onClose, reload }: { id: string; onClose: () => void; reload: () => Promise<void> }) {
  const at = { error_id: id };
  const loaded = useLoaded(`error ${id}`, (signal) => call("GET /errors/{error_id}", at, { signal }));
  async function stand(change: () => Promise<unknown>, said: string) {
    await change();
    tell(said);
    await Promise.all([loaded.reload(), reload()]);
  }
  return (
    <Dialog title={words.title} isLarge onClose={onClose}>
      <Shown loaded={loaded}>
        {({ error, builds }) => (
          <div class="stack">
            <p>
              <strong class="wrap">{error.message}</strong>
            </p>
            <p class="row">
              <span class={error.state === "open" ? "badge bad" : "badge"}>{words.states[error.state]}</span>
              {error.regressed_at !== null && <span class="badge bad">{words.regressed}</span>}
              <span class="quiet">{words.kinds[error.kind]}</span>
              <span class="mono">{whereOf(error)}</span>
            </p>
            <Table
              caption={words.builds}
              rows={builds}
              keyOf={(each) => each.id}
              columns={[
                { label: words.build, isLead: true, show: (each) => <strong class="number">{each.build}</strong> },
                { label: words.where, show: whereOf },
                { label: words.copies, show: (each) => numberOf(each.instances) },
                { label: words.keys, show: (each) => numberOf(each.keys) },
                {
                  label: words.programs,
                  show: (each) => (
                    <span class="wrap">
                      {Object.entries(each.executors)
                        .map(([name, copies]) => `${name} ${copies}`)
                        .join(", ")}
                    </span>
                  ),
                },
                { label: words.first, show: (each) => <Time at={each.first_seen} /> },
                { label: words.last, show: (each) => <Time at={each.last_seen} /> },
              ]}
            />
            {may("scripts:write") && (
              <div class="row">
                {error.state === "open" ? (
                  <>
                    <button type="button" class="primary" title={words.resolveHint} onClick={() => void stand(() => call("POST /errors/{error_id}/resolve", at), words.resolved).catch(tellFailure)}>
                      {words.resolve}
                    </button>
                    <button type="button" onClick={() => void stand(() => call("POST /errors/{error_id}/ignore", at), words.ignored).catch(tellFailure)}>
                      {words.ignore}
                    </button>
                  </>
                ) : (
                  <button type="button" onClick={() => void stand(() => call("POST /errors/{error_id}/reopen", at), words.reopened).catch(tellFailure)}>
                    {words.reopen}
                  </button>
                )}
              </div>
            )}
          </div>
        )}
      </Shown>
    </Dialog>
  );
}

function whereOf(error: ErrorView): string {
  if (error.line !== null) return words.line(error.line, error.file, error.function);
  return error.place ? words.ofBuild(error.place) : words.noPlace;
}
