/** Builds that are to be published later. */
import { useSignal } from "@preact/signals";
import { call } from "../../api/client";
import { readAnewOnConflict } from "../../api/errors";
import { type Question, useLoaded } from "../../api/load";
import { may } from "../../api/session";
import type { BuildView, ScheduledBuildView, ScriptView } from "../../api/types";
import { Dialog } from "../../parts/dialog";
import { Choice, Form, localTime, TextField } from "../../parts/form";
import { Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { moment } from "../../parts/time";
import { tell, tellFailure } from "../../parts/toast";
import { text } from "../../text/en/releases";
import { choicesOf } from "./build_actions";
import { STABLE } from "./channels";
import { percent, stepsOf } from "./steps";

const words = text.scheduled;

interface Props {
  script: ScriptView;
  etag: string | null;
  /** Another one when it is to be asked again. */
  version: string;
  builds: readonly BuildView[];
  reload: () => Promise<void>;
}

interface Doing {
  /** null: another one. */
  scheduled: ScheduledBuildView | null;
  etag: string | null;
}

export function scheduledOf(script: string): Question<ScheduledBuildView[]> {
  return [`scheduled ${script}`, async (signal) => (await call("GET /scripts/{script_id}/scheduled", { script_id: script }, { signal })).scheduled];
}

export function Scheduled({ script, etag, version, builds, reload }: Props) {
  const at = { script_id: script.id };
  const loaded = useLoaded(...scheduledOf(script.id), version);
  const doing = useSignal<Doing | null>(null);
  const mayPublish = may("scripts:publish");
  async function done(said: string) {
    tell(said);
    doing.value = null;
    await reload();
  }
  async function takeOff(build: number) {
    await call("POST /scripts/{script_id}/builds/{number}/unschedule", { ...at, number: build });
    await done(words.removed(build));
  }
  return (
    <>
      <div class="row between">
        <div class="grow">
          <h2>{words.title}</h2>
          <p class="small quiet">{words.more}</p>
        </div>
        {mayPublish && (
          <button type="button" onClick={() => (doing.value = { scheduled: null, etag })}>
            {words.add}
          </button>
        )}
      </div>
      <Shown loaded={loaded}>
        {(scheduled) =>
          scheduled.length === 0 ? (
            <p class="quiet">{words.none}</p>
          ) : (
            <Table
              caption={words.title}
              rows={scheduled}
              keyOf={(each) => each.build}
              columns={[
                { label: words.build, isLead: true, show: (each) => <strong class="number">{each.build}</strong> },
                { label: words.at, show: (each) => moment(each.publish_at) },
                { label: words.whom, show: (each) => whomOf(each) },
                {
                  label: words.remove,
                  isAction: true,
                  show: (each) =>
                    mayPublish && (
                      <span class="row end nowrap">
                        <button type="button" class="small" aria-label={words.moveNamed(each.build)} onClick={() => (doing.value = { scheduled: each, etag })}>
                          {words.move}
                        </button>
                        <button type="button" class="small" aria-label={words.removeNamed(each.build)} onClick={() => void takeOff(each.build).catch(tellFailure)}>
                          {words.remove}
                        </button>
                      </span>
                    ),
                },
              ]}
            />
          )
        }
      </Shown>
      {doing.value && <Schedule script={script} {...doing.value} builds={builds} onClose={() => (doing.value = null)} done={done} reload={reload} />}
    </>
  );
}

function whomOf({ channel, steps }: ScheduledBuildView) {
  if (steps?.[0]) return words.some(percent(steps[0].basis_points));
  return channel === STABLE ? words.everybody : <span class="wrap">{channel}</span>;
}

interface ScheduleProps extends Doing {
  script: ScriptView;
  builds: readonly BuildView[];
  onClose: () => void;
  done: (said: string) => Promise<void>;
  reload: () => Promise<void>;
}

function Schedule({ script, scheduled, etag, builds, onClose, done, reload }: ScheduleProps) {
  const before = scheduled?.steps?.map((step) => step.basis_points / 100).join(", ");
  return (
    <Dialog title={scheduled ? words.moveNamed(scheduled.build) : words.add} onClose={onClose}>
      <Form
        submit={scheduled ? words.move : words.add}
        onCancel={onClose}
        run={async (entered) => {
          const number = scheduled?.build ?? (entered.number("build") as number);
          const typed = entered.text("steps");
          // What was not touched keeps the minutes that it had.
          const steps = typed === before ? (scheduled?.steps ?? null) : typed === "" ? null : stepsOf(typed);
          const body = { publish_at: entered.moment("publish_at") as number, channel: entered.text("channel") || null, steps };
          await readAnewOnConflict(reload, () => call("POST /scripts/{script_id}/builds/{number}/schedule", { script_id: script.id, number }, { body, etag }));
          await done(words.set(number));
        }}
      >
        {scheduled === null && <Choice name="build" label={words.build} options={choicesOf(builds)} />}
        <TextField name="publish_at" type="datetime-local" label={words.at} hint={words.atHint} defaultValue={localTime(scheduled?.publish_at)} />
        <TextField name="channel" label={words.channel} defaultValue={scheduled?.channel ?? STABLE} maxLength={32} />
        <TextField name="steps" label={words.steps} hint={words.stepsHint} defaultValue={before ?? ""} inputMode="decimal" />
      </Form>
    </Dialog>
  );
}
