/** Where nothing in particular was asked for: the project looked at last, or the first steps. */
import { useEffect } from "preact/hooks";
import { current, projects } from "../data/projects";
import { replace, to } from "../shell/router";
import { text } from "../text/en/overview";
import { FirstSteps } from "./overview/first_steps";

export default function Home() {
  const project = current.value;
  useEffect(() => {
    if (project) replace(to(`/projects/${project.id}/overview`));
  }, [project]);
  if (project || projects.value === undefined) return null;
  return (
    <div class="stack">
      <div class="head">
        <div>
          <h1>{text.welcome}</h1>
          <p>{text.welcomeMore}</p>
        </div>
      </div>
      <FirstSteps project={null} script={undefined} hasKey={false} />
    </div>
  );
}
