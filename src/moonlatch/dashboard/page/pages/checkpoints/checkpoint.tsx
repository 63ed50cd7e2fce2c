/** One checkpoint: its steps and how they go, and how it is set. */
import { useSignal } from "@preact/signals";
import { ask, call, type ReplyOf } from "../../api/client";
import { useLoaded } from "../../api/load";
import { useNews } from "../../api/news";
import { may } from "../../api/session";
import type { AdStepView, AdSystemView } from "../../api/types";
import { Confirm } from "../../parts/confirm";
import { Copyable } from "../../parts/copy";
import { SaveForm } from "../../parts/save";
import { Empty, Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { Tabs, tabOf } from "../../parts/tabs";
import { moment } from "../../parts/time";
import { tell, tellFailure } from "../../parts/toast";
import type { PageProps } from "../../shell/pages";
import { go, to } from "../../shell/router";
import { text } from "../../text/en/checkpoints";
import { SystemFields, systemEntered } from "./fields";
import { StateBadge } from "./list";
import { EditStep, NewStep } from "./step";

const TABS = ["steps", "settings"] as const;

type Whole = ReplyOf<"GET /ads/systems/{system_id}">;

export default function Checkpoint({ project, id }: PageProps) {
  const loaded = useLoaded(`checkpoint ${id}`, (signal) => ask("GET /ads/systems/{system_id}", { system_id: id }, { signal }));
  useNews(project, (news) => news.event, () => void loaded.reload());
  const tab = tabOf(TABS);
  return (
    <div class="stack">
      <Shown loaded={loaded}>
        {({ reply, etag }) => (
          <>
            <div class="head">
              <div>
                <p class="small">
                  <a href={to(`/projects/${project}/checkpoints`)}>{text.title}</a>
                </p>
                <div class="row">
                  <h1>{reply.system.name}</h1>
                  <StateBadge isOn={reply.system.enabled} isStepless={reply.steps.length === 0} />
                </div>
              </div>
              {may("checkpoints:write") && <Switch system={reply.system} reload={loaded.reload} />}
            </div>
            <Copyable value={reply.system.url} label={text.page} isWrapped />
            <Hurried whole={reply} />
            <section class="card stack">
              <Tabs label={text.title} names={TABS} shown={tab} words={text.tabs} />
              {tab === "steps" && <Steps whole={reply} reload={loaded.reload} />}
              {tab === "settings" && <Settings system={reply.system} etag={etag} reload={loaded.reload} />}
            </section>
          </>
        )}
      </Shown>
    </div>
  );
}

function Switch({ system, reload }: { system: AdSystemView; reload: () => Promise<void> }) {
  async function set(enabled: boolean) {
    await call("POST /ads/systems/{system_id}/edit", { system_id: system.id }, { body: { enabled } });
    tell(enabled ? text.switchedOn : text.switchedOff);
    await reload();
  }
  return (
    <button type="button" onClick={() => void set(!system.enabled).catch(tellFailure)}>
      {system.enabled ? text.switchOff : text.switchOn}
    </button>
  );
}

const DAY = 86_400_000;

/** Steps that visitors took little time for lately. */
function Hurried({ whole }: { whole: Whole }) {
  return (
    <>
      {whole.statistics.map(({ step_id: id, hurried_at: at }) => {
        const step = whole.steps.find((each) => each.id === id);
        return step && at !== null && at > Date.now() - 7 * DAY ? (
          <p key={id} class="alert warn">
            {text.hurried(step.number, moment(at))}
          </p>
        ) : null;
      })}
    </>
  );
}

function Steps({ whole, reload }: { whole: Whole; reload: () => Promise<void> }) {
  const { system, steps, statistics } = whole;
  const isAdding = useSignal(false);
  const edited = useSignal("");
  const of = (step: AdStepView) => statistics.find((each) => each.step_id === step.id);
  const way = (step: AdStepView) => steps.filter((each) => each.number === step.number).indexOf(step);
  const state = (step: AdStepView) => (!step.enabled ? "off" : step.down_until === null ? "on" : "down");
  const badges = { on: "badge good", off: "badge", down: "badge bad" };
  const sum = (name: "begun" | "done") => statistics.reduce((total, each) => total + each[name], 0);
  const chosen = steps.find((step) => step.id === edited.value);
  return (
    <>
      <dl class="cards">
        {[
          [text.keysToday, whole.keys_today],
          [text.begunToday, sum("begun")],
          [text.doneToday, sum("done")],
        ].map(([label, value]) => (
          <div class="figure" key={label}>
            <dt>{label}</dt>
            <dd class="value">{value}</dd>
          </div>
        ))}
      </dl>
      {steps.length === 0 ? (
        <Empty title={text.noSteps}>
          <p>{text.noStepsMore}</p>
        </Empty>
      ) : (
        <Table
          caption={text.tabs.steps}
          rows={steps}
          keyOf={(step) => step.id}
          columns={[
            { label: text.stepColumns.number, show: (step) => text.way(step.number, way(step)) },
            {
              label: text.stepColumns.provider,
              isLead: true,
              show: (step) =>
                may("checkpoints:write") ? (
                  <button type="button" class="link" onClick={() => (edited.value = step.id)}>
                    {text.providers[step.provider] ?? step.provider}
                  </button>
                ) : (
                  (text.providers[step.provider] ?? step.provider)
                ),
            },
            { label: text.stepColumns.state, show: (step) => <span class={badges[state(step)]}>{text.stepStates[state(step)]}</span> },
            { label: text.stepColumns.begun, show: (step) => `${of(step)?.begun ?? 0}` },
            { label: text.stepColumns.done, show: (step) => `${of(step)?.done ?? 0}` },
            {
              label: text.stepColumns.median,
              show: (step) => {
                const median = of(step)?.median_seconds;
                return median == null ? "" : text.seconds(median);
              },
            },
          ]}
        />
      )}
      {may("checkpoints:write") && (
        <div class="row end">
          <button type="button" class="primary" onClick={() => (isAdding.value = true)}>
            {text.addStep}
          </button>
        </div>
      )}
      {isAdding.value && <NewStep system={system.id} numbers={[...new Set(steps.map((step) => step.number))]} onClose={() => (isAdding.value = false)} reload={reload} />}
      {chosen && <EditStep step={chosen} onClose={() => (edited.value = "")} reload={reload} />}
    </>
  );
}

function Settings({ system, etag, reload }: { system: AdSystemView; etag: string | null; reload: () => Promise<void> }) {
  const at = { system_id: system.id };
  const isRemoving = useSignal(false);
  return (
    <>
      <SaveForm
        etag={etag}
        reload={reload}
        run={async (entered, version) => {
          await call("POST /ads/systems/{system_id}/edit", at, { body: systemEntered(entered), etag: version });
        }}
      >
        <fieldset class="fields" disabled={!may("checkpoints:write")}>
          <SystemFields system={system} />
        </fieldset>
      </SaveForm>
      {may("checkpoints:write") && (
        <>
          <hr />
          <div class="row between">
            <p class="small quiet grow">{text.removeMore}</p>
            <button type="button" class="danger" onClick={() => (isRemoving.value = true)}>
              {text.remove}
            </button>
          </div>
        </>
      )}
      {isRemoving.value && (
        <Confirm
          title={text.remove}
          name={system.name}
          submit={text.remove}
          onClose={() => (isRemoving.value = false)}
          run={async () => {
            await call("POST /ads/systems/{system_id}/remove", at);
            tell(text.removed(system.name));
            go(to(`/projects/${system.project_id}/checkpoints`));
          }}
        >
          <p>{text.removeMore}</p>
        </Confirm>
      )}
    </>
  );
}
