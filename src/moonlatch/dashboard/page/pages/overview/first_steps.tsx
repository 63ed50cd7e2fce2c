/** From an empty installation to the first start: what is done, and what comes next. */
import { useSignal } from "@preact/signals";
import { may } from "../../api/session";
import type { ScriptView } from "../../api/types";
import { Icon } from "../../parts/icons";
import { to } from "../../shell/router";
import { text } from "../../text/en/overview";
import { NewProject } from "../settings/new_project";

interface Props {
  project: string | null;
  /** One of the project's scripts, where it has any. */
  script: ScriptView | undefined;
  hasKey: boolean;
}

export function FirstSteps({ project, script, hasKey }: Props) {
  const isAsking = useSignal(false);
  const steps = [
    { words: text.steps.project, isDone: project !== null, address: "" },
    { words: text.steps.script, isDone: script !== undefined, address: to(`/projects/${project}/scripts`, { new: "script" }) },
    // It is off until its first build.
    { words: text.steps.publish, isDone: script?.enabled ?? false, address: to(`/projects/${project}/scripts/${script?.id}`) },
    { words: text.steps.key, isDone: hasKey, address: to(`/projects/${project}/keys`, { new: "key" }) },
    { words: text.steps.start, isDone: false, address: to(`/projects/${project}/scripts/${script?.id}`) },
  ];
  const next = steps.findIndex((step) => !step.isDone);
  return (
    <>
      {next === steps.length - 1 && <p class="quiet">{text.ready}</p>}
      <ol class="steps">
        {steps.map(({ words: [title, more, action], isDone, address }, index) => (
          <li key={title} class={isDone ? "done" : index === next ? "next" : ""}>
            <span class="mark">{isDone ? <Icon name="check" /> : index + 1}</span>
            <div>
              <h2>{title}</h2>
              <p>{more}</p>
            </div>
            {isDone ? (
              <span class="badge good">{text.done}</span>
            ) : (
              index === next &&
              (address ? (
                <a class="button primary" href={address}>
                  {action}
                </a>
              ) : (
                <button type="button" class="primary" onClick={() => (isAsking.value = true)}>
                  {action}
                </button>
              ))
            )}
          </li>
        ))}
      </ol>
      {next === steps.length - 1 && may("projects:write") && (
        <div class="row">
          <span class="quiet">{text.own}</span>
          <button type="button" class="small" onClick={() => (isAsking.value = true)}>
            {text.newProject}
          </button>
        </div>
      )}
      {isAsking.value && <NewProject onClose={() => (isAsking.value = false)} />}
    </>
  );
}
