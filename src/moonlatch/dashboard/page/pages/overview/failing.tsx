/** Webhooks that do not deliver: said where somebody looks first. */
import { call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { to } from "../../shell/router";
import { text } from "../../text/en/webhooks";

export function Failing({ project }: { project: string }) {
  const loaded = useLoaded(`overview endpoints ${project}`, async (signal) => (await call("GET /projects/{project_id}/endpoints", { project_id: project }, { signal })).endpoints);
  const failing = (loaded.data.value ?? []).filter((endpoint) => endpoint.disabled_because !== null || (endpoint.enabled && endpoint.failing_since !== null));
  if (failing.length === 0) return null;
  return (
    <div class="alert warn" role="status">
      <strong>{text.failing(failing.length)}</strong>
      {failing.map((endpoint) => (
        <a key={endpoint.id} href={to(`/projects/${project}/webhooks/${endpoint.id}`)}>
          {endpoint.name}
        </a>
      ))}
    </div>
  );
}
