/** Whose copy it is, and the way to their page for whoever may see keys: a masked one names nobody. */
import { may } from "../../api/session";
import { to } from "../../shell/router";
import { text } from "../../text/en/live";

export function KeyLink({ project, userKey }: { project: string; userKey: string | null }) {
  if (userKey === null) return <span class="quiet">{text.keyless}</span>;
  if (!may("keys:reveal")) return <span class="mono clip">{userKey}</span>;
  return (
    <a class="mono clip" href={to(`/projects/${project}/keys/${userKey}`)}>
      {userKey}
    </a>
  );
}
