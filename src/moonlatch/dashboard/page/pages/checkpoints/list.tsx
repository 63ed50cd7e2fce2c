/** The checkpoints of a project. */
import { call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { useNews } from "../../api/news";
import { may } from "../../api/session";
import { Dialog } from "../../parts/dialog";
import { Form, TextField } from "../../parts/form";
import { Icon } from "../../parts/icons";
import { Empty, Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { tell } from "../../parts/toast";
import type { PageProps } from "../../shell/pages";
import { go, place, refine, to } from "../../shell/router";
import { text } from "../../text/en/checkpoints";
import { hours, SystemFields, systemEntered } from "./fields";

export default function Checkpoints({ project }: PageProps) {
  const loaded = useLoaded(`checkpoints ${project}`, async (signal) => {
    const { systems } = await call("GET /ads/systems", {}, { signal });
    return systems.filter((system) => system.project_id === project);
  });
  useNews(project, (news) => news.event, () => void loaded.reload());
  return (
    <div class="stack">
      <div class="head">
        <div>
          <h1>{text.title}</h1>
          <p>{text.more}</p>
        </div>
        {may("checkpoints:write") && (
          <button type="button" class="primary" onClick={() => refine({ new: "checkpoint" })}>
            <Icon name="plus" />
            {text.add}
          </button>
        )}
      </div>
      <section class="card flush">
        <Shown loaded={loaded}>
          {(systems) =>
            systems.length === 0 ? (
              <Empty title={text.none}>
                <p>{text.noneMore}</p>
              </Empty>
            ) : (
              <Table
                caption={text.title}
                rows={systems}
                keyOf={(system) => system.id}
                columns={[
                  { label: text.columns.name, isLead: true, show: (system) => <a href={to(`/projects/${project}/checkpoints/${system.id}`)}>{system.name}</a> },
                  { label: text.columns.state, show: (system) => <StateBadge isOn={system.enabled} /> },
                  { label: text.columns.duration, show: (system) => hours(system.key_duration) },
                  { label: text.columns.url, show: (system) => <code class="clip">{`/get/${system.slug}`}</code> },
                ]}
              />
            )
          }
        </Shown>
      </section>
      {place.value.query.get("new") === "checkpoint" && <NewCheckpoint project={project} />}
    </div>
  );
}

export function StateBadge({ isOn, isStepless = false }: { isOn: boolean; isStepless?: boolean }) {
  if (isOn && isStepless) return <span class="badge warn">{text.states.stepless}</span>;
  return <span class={isOn ? "badge good" : "badge"}>{isOn ? text.states.on : text.states.off}</span>;
}

function NewCheckpoint({ project }: { project: string }) {
  const close = () => refine({ new: undefined });
  return (
    <Dialog title={text.add} onClose={close}>
      <Form
        submit={text.add}
        onCancel={close}
        run={async (entered) => {
          const body = { ...systemEntered(entered), project_id: project, slug: entered.text("slug") || null };
          const { system } = await call("POST /ads/systems/new", {}, { body });
          tell(text.made(system.name));
          go(to(`/projects/${project}/checkpoints/${system.id}`));
        }}
      >
        <p class="quiet">{text.addMore}</p>
        <SystemFields />
        <TextField name="slug" label={text.slug} hint={text.slugHint} maxLength={40} />
      </Form>
    </Dialog>
  );
}
