/** Which projects somebody reaches. */
import { projects } from "../../data/projects";
import { Tick } from "../../parts/form";
import { text } from "../../text/en/team";

export function ProjectTicks({ chosen }: { chosen: readonly string[] | null }) {
  const all = projects.value ?? [];
  if (all.length === 0) return null;
  return (
    <fieldset class="fields tight">
      <legend>{text.members.projects}</legend>
      <p class="small quiet">{text.members.projectsHint}</p>
      {all.map((project) => (
        <Tick key={project.id} name="projects" value={project.id} label={project.name} defaultChecked={chosen?.includes(project.id) ?? false} />
      ))}
    </fieldset>
  );
}
