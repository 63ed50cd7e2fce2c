/** One webhook: whether it delivers, what it delivered, how it is set. */
import { useSignal } from "@preact/signals";
import { ask, call, type BodyOf } from "../../api/client";
import { useLoaded } from "../../api/load";
import { useNews } from "../../api/news";
import { may } from "../../api/session";
import type { EndpointView } from "../../api/types";
import { Confirm } from "../../parts/confirm";
import { Choice, TextField } from "../../parts/form";
import { SaveForm } from "../../parts/save";
import { Shown } from "../../parts/status";
import { moment } from "../../parts/time";
import { tell, tellFailure } from "../../parts/toast";
import { Tabs, tabOf } from "../../parts/tabs";
import type { PageProps } from "../../shell/pages";
import { go, to } from "../../shell/router";
import { text } from "../../text/en/webhooks";
import { Deliveries } from "./deliveries";
import { HeardFields, kindsEntered } from "./fields";
import { Secret } from "./list";
import { StateBadge } from "./state";

const TABS = ["deliveries", "settings"] as const;

type EditEndpoint = BodyOf<"POST /endpoints/{endpoint_id}/edit">;

export default function Webhook({ project, id }: PageProps) {
  const loaded = useLoaded(`endpoint ${id}`, (signal) => ask("GET /endpoints/{endpoint_id}", { endpoint_id: id }, { signal }));
  useNews(project, (news) => news.event, () => void loaded.reload());
  const tab = tabOf(TABS);
  return (
    <div class="stack">
      <Shown loaded={loaded}>
        {({ reply: { endpoint }, etag }) => (
          <>
            <div class="head">
              <div>
                <p class="small">
                  <a href={to(`/projects/${project}/webhooks`)}>{text.title}</a>
                </p>
                <div class="row">
                  <h1>{endpoint.name}</h1>
                  <StateBadge endpoint={endpoint} />
                </div>
                <p class="mono small">{endpoint.url}</p>
              </div>
              {may("webhooks:write") && <Buttons endpoint={endpoint} reload={loaded.reload} />}
            </div>
            <Notes endpoint={endpoint} />
            <section class="card stack">
              <Tabs label={text.title} names={TABS} shown={tab} words={text.tabs} />
              {tab === "deliveries" && <Deliveries project={project} endpoint={endpoint} reload={loaded.reload} />}
              {tab === "settings" && <Settings endpoint={endpoint} etag={etag} reload={loaded.reload} />}
            </section>
          </>
        )}
      </Shown>
    </div>
  );
}

function Notes({ endpoint }: { endpoint: EndpointView }) {
  return (
    <>
      {endpoint.disabled_because !== null && <p class="alert">{text.why(endpoint.disabled_because)}</p>}
      {endpoint.enabled && endpoint.failing_since !== null && <p class="alert warn">{text.failingSince(moment(endpoint.failing_since))}</p>}
      {endpoint.previous_secret_until !== null && <p class="alert warn">{text.twoSecrets(moment(endpoint.previous_secret_until))}</p>}
      {endpoint.field !== null && <p class="small quiet">{text.field(endpoint.field)}</p>}
    </>
  );
}

function Buttons({ endpoint, reload }: { endpoint: EndpointView; reload: () => Promise<void> }) {
  const at = { endpoint_id: endpoint.id };
  const isAsking = useSignal(false);
  async function set(enabled: boolean) {
    await call("POST /endpoints/{endpoint_id}/edit", at, { body: { enabled } });
    tell(enabled ? text.switchedOn : text.switchedOff);
    await reload();
  }
  async function test() {
    await call("POST /endpoints/{endpoint_id}/test", at);
    tell(text.tested);
  }
  return (
    <div class="row">
      {endpoint.enabled ? (
        <>
          <button type="button" onClick={() => void test().catch(tellFailure)}>
            {text.test}
          </button>
          <button type="button" class="danger" onClick={() => (isAsking.value = true)}>
            {text.switchOff}
          </button>
        </>
      ) : (
        <button type="button" onClick={() => void set(true).catch(tellFailure)}>
          {text.switchOn}
        </button>
      )}
      {isAsking.value && (
        <Confirm
          title={text.switchOff}
          submit={text.switchOff}
          onClose={() => (isAsking.value = false)}
          run={async () => {
            await set(false);
            isAsking.value = false;
          }}
        >
          <p>{text.offMore}</p>
        </Confirm>
      )}
    </div>
  );
}

function Settings({ endpoint, etag, reload }: { endpoint: EndpointView; etag: string | null; reload: () => Promise<void> }) {
  const at = { endpoint_id: endpoint.id };
  const isRemoving = useSignal(false);
  const secret = useSignal("");
  async function rotate() {
    secret.value = (await call("POST /endpoints/{endpoint_id}/rotate_secret", at)).secret;
    await reload();
  }
  return (
    <>
      <SaveForm
        etag={etag}
        reload={reload}
        run={async (entered, version) => {
          const body: EditEndpoint = {
            name: entered.text("name"),
            url: entered.text("url") || null,
            kind: entered.text("kind") as NonNullable<EditEndpoint["kind"]>,
            events: (kindsEntered(entered) ?? "") as NonNullable<EditEndpoint["events"]>,
            executions: entered.text("executions") as NonNullable<EditEndpoint["executions"]>,
          };
          await call("POST /endpoints/{endpoint_id}/edit", at, { body, etag: version });
        }}
      >
        <fieldset class="fields" disabled={!may("webhooks:write")}>
          <TextField name="name" label={text.name} defaultValue={endpoint.name} maxLength={100} required />
          <TextField name="url" label={text.url} hint={text.urlKept} placeholder={endpoint.url} inputMode="url" maxLength={2048} />
          <Choice name="kind" label={text.kind} options={text.kinds.slice(1)} defaultValue={endpoint.kind} />
          <HeardFields kinds={endpoint.events} executions={endpoint.executions} />
        </fieldset>
      </SaveForm>
      {may("webhooks:write") && (
        <>
          <hr />
          <div class="row between">
            <p class="small quiet grow">{text.rotateMore}</p>
            <button type="button" onClick={() => void rotate().catch(tellFailure)}>
              {text.rotate}
            </button>
          </div>
          <div class="row between">
            <p class="small quiet grow">{text.removeMore}</p>
            <button type="button" class="danger" onClick={() => (isRemoving.value = true)}>
              {text.remove}
            </button>
          </div>
        </>
      )}
      {secret.value && <Secret value={secret.value} onClose={() => (secret.value = "")} />}
      {isRemoving.value && (
        <Confirm
          title={text.remove}
          name={endpoint.name}
          submit={text.remove}
          onClose={() => (isRemoving.value = false)}
          run={async () => {
            await call("POST /endpoints/{endpoint_id}/remove", at);
            tell(text.removed(endpoint.name));
            go(to(`/projects/${endpoint.project_id}/webhooks`));
          }}
        >
          <p>{text.removeMore}</p>
        </Confirm>
      )}
    </>
  );
}
