/** What was handed over, what waits, and what was given up: looked at, and sent again. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { useNews } from "../../api/news";
import { may } from "../../api/session";
import type { DeliveryView, EndpointView, Operations } from "../../api/types";
import { Dialog } from "../../parts/dialog";
import { Empty, Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { now, Time } from "../../parts/time";
import { tell, tellFailure } from "../../parts/toast";
import { place, refine } from "../../shell/router";
import { text as events } from "../../text/en/events";
import { text as shell } from "../../text/en/shell";
import { text } from "../../text/en/webhooks";

const words = text.deliveries;
const SIZE = 50;
/** What is tried within so long is looked at again; of what is being sent now, the server's claim ends a minute ahead. */
const SOON_MS = 90_000;
const PAUSE_MS = 2000;
const BADGES: Record<string, string> = { waiting: "badge accent", delivered: "badge good", failed: "badge bad" };

type Query = Operations["GET /endpoints/{endpoint_id}/deliveries"]["query"];

function nameOf(kind: string): string {
  return events.kinds[kind] ?? words.kinds[kind] ?? kind;
}

interface Props {
  project: string;
  endpoint: EndpointView;
  /** Ask anew for the endpoint: what becomes of a delivery says whether it fails. */
  reload: () => Promise<void>;
}

export function Deliveries({ project, endpoint, reload }: Props) {
  const { query } = place.value;
  const asked = query.get("state") ?? "";
  const state = words.states.some(([name]) => name === asked) ? asked : "";
  const cursor = query.get("cursor") ?? "";
  const loaded = useLoaded(`deliveries ${endpoint.id} ${state} ${cursor}`, (signal) => call("GET /endpoints/{endpoint_id}/deliveries", { endpoint_id: endpoint.id }, { query: { state: state as Query["state"], cursor, limit: SIZE }, signal }));
  useNews(project, (news) => news.event, () => void loaded.reload());
  const latest = loaded.data.value;
  useEffect(() => {
    const isSoon = latest?.deliveries.some((delivery) => delivery.next_at !== null && delivery.next_at < Date.now() + SOON_MS);
    if (!isSoon) return;
    const timer = setTimeout(() => !document.hidden && void Promise.all([loaded.reload(), reload()]), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [latest]);
  const looked = useSignal<string | null>(null);
  const mayReplay = may("webhooks:write") && endpoint.enabled;
  async function replay(body: { deliveries: string[] } | { failed_since: number }) {
    const { replayed } = await call("POST /endpoints/{endpoint_id}/replay", { endpoint_id: endpoint.id }, { body });
    tell(words.sentAgain(replayed));
    await loaded.reload();
  }
  return (
    <>
      <div class="row between">
        <div class="segments" role="group" aria-label={words.state}>
          {words.states.map(([name, said]) => (
            <button key={name} type="button" aria-pressed={state === name} onClick={() => refine({ state: name, cursor: undefined })}>
              {said}
            </button>
          ))}
        </div>
        {mayReplay && state === "failed" && (
          <button type="button" onClick={() => void replay({ failed_since: endpoint.created_at }).catch(tellFailure)}>
            {words.allFailed}
          </button>
        )}
      </div>
      <Shown loaded={loaded}>
        {({ deliveries, next }) =>
          deliveries.length === 0 ? (
            <Empty title={state === "" && cursor === "" ? words.none : words.noneLike} />
          ) : (
            <>
              <Table
                caption={text.tabs.deliveries}
                rows={deliveries}
                keyOf={(delivery) => delivery.id}
                columns={[
                  {
                    label: words.what,
                    isLead: true,
                    show: (delivery) => (
                      <button type="button" class="link" onClick={() => (looked.value = delivery.id)}>
                        {nameOf(delivery.kind)}
                      </button>
                    ),
                  },
                  { label: words.state, show: (delivery) => <span class={BADGES[delivery.state]}>{words.stateNames[delivery.state] ?? delivery.state}</span> },
                  { label: words.made, show: (delivery) => <Time at={delivery.created_at} /> },
                  { label: words.attempts, isEnd: true, show: (delivery) => <span class="number">{delivery.attempts}</span> },
                  { label: words.next, show: (delivery) => delivery.next_at !== null && (delivery.next_at > now.value ? <Time at={delivery.next_at} /> : words.soon) },
                  {
                    label: words.again,
                    isAction: true,
                    show: (delivery) =>
                      mayReplay &&
                      delivery.state !== "waiting" && (
                        <button type="button" class="small" onClick={() => void replay({ deliveries: [delivery.id] }).catch(tellFailure)}>
                          {words.again}
                        </button>
                      ),
                  },
                ]}
              />
              <div class="row end">
                <button type="button" class="small" disabled={cursor === ""} onClick={() => history.back()}>
                  {shell.common.previous}
                </button>
                <button type="button" class="small" disabled={next === null} onClick={() => next !== null && (location.hash = `${place.value.path}?${new URLSearchParams({ ...(state && { state }), cursor: next })}`)}>
                  {shell.common.next}
                </button>
              </div>
            </>
          )
        }
      </Shown>
      {looked.value !== null && <Delivery id={looked.value} onClose={() => (looked.value = null)} />}
    </>
  );
}

function Delivery({ id, onClose }: { id: string; onClose: () => void }) {
  const loaded = useLoaded(`delivery ${id}`, (signal) => call("GET /deliveries/{delivery_id}", { delivery_id: id }, { signal }));
  return (
    <Dialog title={words.title} onClose={onClose} isLarge>
      <Shown loaded={loaded}>
        {({ delivery, attempts }) => (
          <>
            <Facts delivery={delivery} />
            <h3>{words.tries}</h3>
            {attempts.length === 0 ? (
              <p class="quiet">{words.noTries}</p>
            ) : (
              <ul class="timeline">
                {attempts.map((attempt) => (
                  <li key={attempt.number}>
                    <span>{attempt.status === null ? words.failed(attempt.error ?? "", attempt.milliseconds) : words.answered(attempt.status, attempt.milliseconds)}</span>
                    <span class="small quiet">
                      <Time at={attempt.at} />
                    </span>
                    {attempt.answer && <code class="changes wrap">{attempt.answer}</code>}
                  </li>
                ))}
              </ul>
            )}
          </>
        )}
      </Shown>
    </Dialog>
  );
}

function Facts({ delivery }: { delivery: DeliveryView }) {
  return (
    <dl class="facts">
      <dt>{words.what}</dt>
      <dd>{nameOf(delivery.kind)}</dd>
      <dt>{words.state}</dt>
      <dd>
        <span class={BADGES[delivery.state]}>{words.stateNames[delivery.state] ?? delivery.state}</span>
      </dd>
      <dt>{words.id}</dt>
      <dd>
        <code>{delivery.id}</code>
      </dd>
    </dl>
  );
}
