/** The scripts of a project. */
import { call } from "../../api/client";
import { useNews } from "../../api/news";
import { may } from "../../api/session";
import { useScripts } from "../../data/scripts";
import { Dialog } from "../../parts/dialog";
import { Form, TextField, Tick } from "../../parts/form";
import { ListPage } from "../../parts/list_page";
import { numberOf } from "../../parts/time";
import { tell } from "../../parts/toast";
import type { PageProps } from "../../shell/pages";
import { go, refine, to } from "../../shell/router";
import { text } from "../../text/en/scripts";

export default function Scripts({ project }: PageProps) {
  const loaded = useScripts(project);
  useNews(project, (news) => news, () => void loaded.reload());
  return (
    <ListPage
      words={text}
      loaded={loaded}
      adding="script"
      mayAdd={may("scripts:write")}
      keyOf={(script) => script.id}
      columns={[
        { label: text.columns.name, isLead: true, show: (script) => <a href={to(`/projects/${project}/scripts/${script.id}`)}>{script.name}</a> },
        { label: text.columns.state, show: (script) => <span class={script.enabled ? "badge good" : "badge"}>{script.enabled ? text.on : text.off}</span> },
        { label: text.columns.copies, isEnd: true, show: (script) => <span class="number">{numberOf(script.total_instances)}</span> },
        { label: text.columns.sessions, isEnd: true, show: (script) => <span class="number">{numberOf(script.total_sessions)}</span> },
        { label: text.columns.executions, isEnd: true, show: (script) => <span class="number">{numberOf(script.total_executions)}</span> },
      ]}
    >
      <NewScript project={project} />
    </ListPage>
  );
}

function NewScript({ project }: { project: string }) {
  const close = () => refine({ new: undefined });
  return (
    <Dialog title={text.addTitle} onClose={close}>
      <Form
        submit={text.add}
        onCancel={close}
        run={async (entered) => {
          const body = { name: entered.text("name"), free_for_all: entered.flag("free_for_all") };
          const { script } = await call("POST /projects/{project_id}/scripts", { project_id: project }, { body });
          tell(text.added(script.name));
          go(to(`/projects/${project}/scripts/${script.id}`));
        }}
      >
        <p class="quiet">{text.addMore}</p>
        <TextField name="name" label={text.name} maxLength={100} required autoFocus />
        <Tick name="free_for_all" label={text.ffa} hint={text.ffaHint} />
      </Form>
    </Dialog>
  );
}
