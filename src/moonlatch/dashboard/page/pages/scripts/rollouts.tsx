/** A build on its way to everybody: how far it is, how to stop it, and what became of those before. */
import { useSignal } from "@preact/signals";
import { call } from "../../api/client";
import { readAnewOnConflict } from "../../api/errors";
import { type Question, useLoaded } from "../../api/load";
import { may } from "../../api/session";
import type { BuildView, RolloutView, ScriptView } from "../../api/types";
import { Confirm } from "../../parts/confirm";
import { Dialog } from "../../parts/dialog";
import { Choice, Form, TextField } from "../../parts/form";
import { Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { Time } from "../../parts/time";
import { tell, tellFailure } from "../../parts/toast";
import { text } from "../../text/en/releases";
import { nameOf } from "./build_actions";
import { percent, STEP_MINUTES, stepsOf, USUAL_STEPS } from "./steps";

const words = text.rollout;
const SHOWN = 20;

interface Props {
  script: ScriptView;
  etag: string | null;
  /** Another one when it is to be asked again. */
  version: string;
  builds: readonly BuildView[];
  reload: () => Promise<void>;
}

type Doing = { what: "start"; etag: string | null } | { what: "resume" | "finish"; rollout: RolloutView };

export function rolloutsOf(script: string): Question<RolloutView[]> {
  return [`rollouts ${script}`, async (signal) => (await call("GET /scripts/{script_id}/rollouts", { script_id: script }, { query: { limit: SHOWN }, signal })).rollouts];
}

export function Rollouts({ script, etag, version, builds, reload }: Props) {
  const loaded = useLoaded(...rolloutsOf(script.id), version);
  const doing = useSignal<Doing | null>(null);
  const close = () => (doing.value = null);
  async function done(said: string) {
    tell(said);
    close();
    await reload();
  }
  const candidates = builds.filter((build) => build.yanked_at === null && !build.current).map((build): [string, string] => [String(build.number), nameOf(build)]);
  return (
    <>
      <div class="row between">
        <div class="grow">
          <h2>{words.title}</h2>
          <p class="small quiet">{words.more}</p>
        </div>
        {may("scripts:publish") && candidates.length > 0 && !loaded.data.value?.some(isServed) && (
          <button type="button" onClick={() => (doing.value = { what: "start", etag })}>
            {words.start}
          </button>
        )}
      </div>
      <Shown loaded={loaded}>
        {(rollouts) => {
          const open = rollouts.find((each) => each.ended_at === null);
          const over = rollouts.filter((each) => each.ended_at !== null);
          return (
            <>
              {open ? <Open rollout={open} done={done} begin={(what) => (doing.value = { what, rollout: open })} /> : <p class="quiet">{words.none}</p>}
              {over.length > 0 && (
                <details>
                  <summary>{words.earlier}</summary>
                  <Table
                    caption={words.earlier}
                    rows={over}
                    keyOf={(each) => each.id}
                    columns={[
                      { label: words.build, isLead: true, show: (each) => <strong class="number">{each.build}</strong> },
                      { label: words.state, show: (each) => words.states[each.state] },
                      { label: words.reached, show: (each) => percent(each.steps[each.step]?.basis_points ?? 0) },
                      { label: words.ended, show: (each) => <Time at={each.ended_at} /> },
                    ]}
                  />
                </details>
              )}
            </>
          );
        }}
      </Shown>
      {doing.value?.what === "start" && <Start script={script} etag={doing.value.etag} candidates={candidates} onClose={close} done={done} reload={reload} />}
      {doing.value?.what === "resume" && <Sure what="resume" rollout={doing.value.rollout} onClose={close} done={done} />}
      {doing.value?.what === "finish" && <Sure what="finish" rollout={doing.value.rollout} onClose={close} done={done} />}
    </>
  );
}

function isServed(rollout: RolloutView): boolean {
  return rollout.state === "rolling" || rollout.state === "paused";
}

function Open({ rollout, done, begin }: { rollout: RolloutView; done: (said: string) => Promise<void>; begin: (what: "resume" | "finish") => void }) {
  const at = { rollout_id: rollout.id };
  const next = rollout.steps[rollout.step + 1];
  const share = percent(rollout.basis_points);
  // Without a question: it is what one does at night.
  const halt = async () => {
    await call("POST /rollouts/{rollout_id}/halt", at);
    await done(words.halted);
  };
  const pause = async () => {
    await call("POST /rollouts/{rollout_id}/pause", at);
    await done(words.paused);
  };
  return (
    <div class="stack">
      <div class="meter">
        <div>
          <span>{words.progress(rollout.build, share)}</span>
          <span class="quiet">{words.step(rollout.step + 1, rollout.steps.length)}</span>
        </div>
        <progress value={rollout.basis_points} max={10_000} aria-label={words.progress(rollout.build, share)} />
      </div>
      <div class="row between">
        <p class="row">
          <span class={rollout.state === "rolling" ? "badge good" : rollout.state === "halted" ? "badge bad" : "badge"}>{words.states[rollout.state]}</span>
          {rollout.state === "rolling" && (
            <span class="quiet">
              {rollout.next_at === null ? (
                words.untilFinished
              ) : (
                <>
                  {next ? words.then(percent(next.basis_points)) : words.thenCurrent} <Time at={rollout.next_at} />
                </>
              )}
            </span>
          )}
        </p>
        {may("scripts:publish") && (
          <div class="row">
            {rollout.state === "rolling" && (
              <button type="button" onClick={() => void pause().catch(tellFailure)}>
                {words.pause}
              </button>
            )}
            {!(rollout.state === "rolling") && (
              <button type="button" onClick={() => begin("resume")}>
                {words.resume}
              </button>
            )}
            {isServed(rollout) && (
              <>
                <button type="button" onClick={() => begin("finish")}>
                  {words.finish}
                </button>
                <button type="button" class="danger" onClick={() => void halt().catch(tellFailure)}>
                  {words.halt}
                </button>
              </>
            )}
          </div>
        )}
      </div>
    </div>
  );
}

interface StartProps {
  script: ScriptView;
  etag: string | null;
  candidates: [string, string][];
  onClose: () => void;
  done: (said: string) => Promise<void>;
  reload: () => Promise<void>;
}

function Start({ script, etag, candidates, onClose, done, reload }: StartProps) {
  return (
    <Dialog title={words.start} onClose={onClose}>
      <Form
        submit={words.start}
        onCancel={onClose}
        run={async (entered) => {
          const build = entered.number("build") as number;
          const steps = stepsOf(entered.text("steps"), entered.number("minutes") ?? STEP_MINUTES);
          await readAnewOnConflict(reload, () => call("POST /scripts/{script_id}/rollouts", { script_id: script.id }, { body: { build, steps }, etag }));
          await done(words.started(build));
        }}
      >
        <Choice name="build" label={words.build} options={candidates} />
        <TextField name="steps" label={words.steps} hint={words.stepsHint} defaultValue={USUAL_STEPS} inputMode="decimal" />
        <TextField name="minutes" label={words.minutes} defaultValue={String(STEP_MINUTES)} inputMode="numeric" />
      </Form>
    </Dialog>
  );
}

function Sure({ what, rollout, onClose, done }: { what: "resume" | "finish"; rollout: RolloutView; onClose: () => void; done: (said: string) => Promise<void> }) {
  const at = { rollout_id: rollout.id };
  const isResumed = what === "resume";
  return (
    <Confirm
      title={isResumed ? words.resumeTitle(rollout.build) : words.finishTitle(rollout.build)}
      submit={isResumed ? words.resume : words.finish}
      onClose={onClose}
      run={async () => {
        await (isResumed ? call("POST /rollouts/{rollout_id}/resume", at, { body: { confirm: true } }) : call("POST /rollouts/{rollout_id}/finish", at));
        await done(isResumed ? words.resumed : words.finished(rollout.build));
      }}
    >
      <p>{isResumed ? words.resumeMore : words.finishMore}</p>
    </Confirm>
  );
}
