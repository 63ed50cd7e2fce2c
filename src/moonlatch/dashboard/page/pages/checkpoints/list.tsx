/** The checkpoints of a project. */
import { call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { useNews } from "../../api/news";
import { may } from "../../api/session";
import { Dialog } from "../../parts/dialog";
import { Form, TextField } from "../../parts/form";
import { ListPage } from "../../parts/list_page";
import { tell } from "../../parts/toast";
import type { PageProps } from "../../shell/pages";
import { go, refine, to } from "../../shell/router";
import { text } from "../../text/en/checkpoints";
import { hours, SystemFields, systemEntered } from "./fields";

export default function Checkpoints({ project }: PageProps) {
  const loaded = useLoaded(`checkpoints ${project}`, async (signal) => {
    const { systems } = await call("GET /ads/systems", {}, { signal });
    return systems.filter((system) => system.project_id === project);
  });
  useNews(project, (news) => news.event, () => void loaded.reload());
  return (
    <ListPage
      words={text}
      loaded={loaded}
      adding="checkpoint"
      mayAdd={may("checkpoints:write")}
      keyOf={(system) => system.id}
      columns={[
        { label: text.columns.name, isLead: true, show: (system) => <a href={to(`/projects/${project}/checkpoints/${system.id}`)}>{system.name}</a> },
        { label: text.columns.state, show: (system) => <StateBadge isOn={system.enabled} /> },
        { label: text.columns.duration, show: (system) => hours(system.key_duration) },
        { label: text.columns.url, show: (system) => <code class="clip">{`/get/${system.slug}`}</code> },
      ]}
    >
      <NewCheckpoint project={project} />
    </ListPage>
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
