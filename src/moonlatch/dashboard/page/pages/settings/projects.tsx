/** All projects of the account. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { may } from "../../api/session";
import { loadProjects, projects } from "../../data/projects";
import { Icon } from "../../parts/icons";
import { Empty } from "../../parts/status";
import { Table } from "../../parts/table";
import { numberOf } from "../../parts/time";
import { tellFailure } from "../../parts/toast";
import { to } from "../../shell/router";
import { text } from "../../text/en/settings";
import { NewProject } from "./new_project";

export default function Projects() {
  const isAsking = useSignal(false);
  useEffect(() => void loadProjects().catch(tellFailure), []);
  const all = projects.value ?? [];
  return (
    <div class="stack">
      <div class="head">
        <div>
          <h1>{text.projects}</h1>
          <p>{text.projectsMore}</p>
        </div>
        {may("projects:write") && (
          <button type="button" class="primary" onClick={() => (isAsking.value = true)}>
            <Icon name="plus" />
            {text.newProject}
          </button>
        )}
      </div>
      <section class="card flush">
        {all.length === 0 ? (
          <Empty title={text.projectsNone} />
        ) : (
          <Table
            caption={text.projects}
            rows={all}
            keyOf={(project) => project.id}
            columns={[
              { label: text.name, isLead: true, show: (project) => <a href={to(`/projects/${project.id}/overview`)}>{project.name}</a> },
              { label: text.executions, isEnd: true, show: (project) => <span class="number">{numberOf(project.total_executions)}</span> },
              { label: text.id, show: (project) => <code>{project.id}</code> },
            ]}
          />
        )}
      </section>
      {isAsking.value && <NewProject onClose={() => (isAsking.value = false)} />}
    </div>
  );
}
