/** What scripts reach at the server by name: variables, webhooks and functions, of the project, of one script or of one key. */
import { useScripts } from "../../data/scripts";
import { may } from "../../api/session";
import { Choice, Form, TextField } from "../../parts/form";
import { Shown } from "../../parts/status";
import type { PageProps } from "../../shell/pages";
import { place, refine } from "../../shell/router";
import { text } from "../../text/en/server";
import type { Owner } from "./owner";
import { Remotes } from "./remotes";
import { Variables } from "./variables";

const KEY = "key";

export default function AtServer({ project }: PageProps) {
  const scripts = useScripts(project);
  const { query } = place.value;
  const asked = query.get("of") ?? "";
  const key = query.get("key") ?? "";
  const owner: Owner | null = asked === "" ? { kind: "project", id: project } : asked !== KEY ? { kind: "script", id: asked } : key ? { kind: "key", id: key } : null;
  return (
    <div class="stack">
      <div class="head">
        <div>
          <h1>{text.title}</h1>
          <p>{text.more}</p>
        </div>
      </div>
      <section class="card stack">
        <Shown loaded={scripts}>
          {(found) => (
            <Choice
              name="of"
              label={text.whose}
              options={[["", text.project], ...found.map((script): [string, string] => [script.id, script.name]), [KEY, text.key]]}
              defaultValue={asked}
              onChange={(event) => refine({ of: event.currentTarget.value || undefined, key: undefined })}
            />
          )}
        </Shown>
        {asked === KEY && (
          <Form submit={text.show} run={async (entered) => refine({ key: entered.text("key") || undefined })}>
            <TextField name="key" label={text.key} hint={text.keyHint} defaultValue={key} maxLength={64} required />
          </Form>
        )}
      </section>
      {owner && <Variables key={`variables ${owner.kind} ${owner.id}`} owner={owner} />}
      {owner && owner.kind !== "key" && may("webhooks:read") && <Remotes key={`remotes ${owner.kind} ${owner.id}`} project={project} owner={owner} />}
    </div>
  );
}
