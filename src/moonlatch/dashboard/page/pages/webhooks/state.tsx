/** Whether a webhook delivers. */
import type { EndpointView } from "../../api/types";
import { text } from "../../text/en/webhooks";

export type State = keyof typeof text.states;

const BADGES: Record<State, string> = { on: "badge good", off: "badge", failing: "badge warn", disabled: "badge bad" };

export function stateOf(endpoint: EndpointView): State {
  if (!endpoint.enabled) return endpoint.disabled_because === null ? "off" : "disabled";
  return endpoint.failing_since === null ? "on" : "failing";
}

export function StateBadge({ endpoint }: { endpoint: EndpointView }) {
  const state = stateOf(endpoint);
  return <span class={BADGES[state]}>{text.states[state]}</span>;
}
