/** The webhooks of a project. */
import { useSignal } from "@preact/signals";
import { type BodyOf, call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { useNews } from "../../api/news";
import { may } from "../../api/session";
import { Copyable } from "../../parts/copy";
import { Dialog } from "../../parts/dialog";
import { Choice, Form, TextField } from "../../parts/form";
import { ListPage } from "../../parts/list_page";
import type { PageProps } from "../../shell/pages";
import { refine, to } from "../../shell/router";
import { text } from "../../text/en/webhooks";
import { HeardFields, kindsEntered } from "./fields";
import { StateBadge } from "./state";

type NewEndpoint = BodyOf<"POST /projects/{project_id}/endpoints">;

export default function Webhooks({ project }: PageProps) {
  const loaded = useLoaded(`endpoints ${project}`, async (signal) => (await call("GET /projects/{project_id}/endpoints", { project_id: project }, { signal })).endpoints);
  useNews(project, (news) => news.event, () => void loaded.reload());
  return (
    <ListPage
      words={text}
      loaded={loaded}
      adding="webhook"
      mayAdd={may("webhooks:write")}
      keyOf={(endpoint) => endpoint.id}
      columns={[
        { label: text.columns.name, isLead: true, show: (endpoint) => <a href={to(`/projects/${project}/webhooks/${endpoint.id}`)}>{endpoint.name}</a> },
        { label: text.columns.state, show: (endpoint) => <StateBadge endpoint={endpoint} /> },
        { label: text.columns.kind, show: (endpoint) => text.kindNames[endpoint.kind] ?? endpoint.kind },
        { label: text.columns.events, show: (endpoint) => (endpoint.events === null ? text.everything : text.ofKinds(endpoint.events.length)) },
        { label: text.columns.url, show: (endpoint) => <code class="clip">{endpoint.url}</code> },
      ]}
    >
      <NewWebhook project={project} onMade={() => void loaded.reload()} />
    </ListPage>
  );
}

function NewWebhook({ project, onMade }: { project: string; onMade: () => void }) {
  const secret = useSignal("");
  const close = () => refine({ new: undefined });
  if (secret.value) return <Secret value={secret.value} onClose={close} />;
  return (
    <Dialog title={text.add} onClose={close}>
      <Form
        submit={text.add}
        onCancel={close}
        run={async (entered) => {
          const body: NewEndpoint = {
            url: entered.text("url"),
            name: entered.text("name") || "webhook",
            kind: (entered.text("kind") || null) as NonNullable<NewEndpoint["kind"]> | null,
            events: kindsEntered(entered) as NonNullable<NewEndpoint["events"]> | null,
            executions: entered.text("executions") as NonNullable<NewEndpoint["executions"]>,
          };
          secret.value = (await call("POST /projects/{project_id}/endpoints", { project_id: project }, { body })).secret;
          onMade();
        }}
      >
        <p class="quiet">{text.addMore}</p>
        <TextField name="url" label={text.url} hint={text.urlHint} inputMode="url" maxLength={2048} required autoFocus />
        <TextField name="name" label={text.name} maxLength={100} />
        <Choice name="kind" label={text.kind} options={text.kinds} />
        <HeardFields kinds={null} executions="none" />
      </Form>
    </Dialog>
  );
}

/** A secret that is shown once. */
export function Secret({ value, onClose }: { value: string; onClose: () => void }) {
  return (
    <Dialog title={text.secret} onClose={onClose}>
      <p class="alert good">{text.secretMore}</p>
      <Copyable value={value} label={text.secret} isWrapped />
      <div class="row end">
        <button type="button" class="primary" onClick={onClose}>
          {text.done}
        </button>
      </div>
    </Dialog>
  );
}
