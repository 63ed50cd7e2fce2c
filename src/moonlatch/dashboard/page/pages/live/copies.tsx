/** Every running copy of a script, also those whose program has no WebSockets: seen, and stopped one by one. */
import { useSignal } from "@preact/signals";
import { call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { useNews } from "../../api/news";
import { may } from "../../api/session";
import type { InstanceView } from "../../api/types";
import { Confirm } from "../../parts/confirm";
import { KeyLink } from "./key_link";
import { Foot } from "../../parts/pages";
import { Empty, Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { Time } from "../../parts/time";
import { tell } from "../../parts/toast";
import { place } from "../../shell/router";
import { text } from "../../text/en/live";

const words = text.copies;
const SIZE = 100;

export function Copies({ project, script }: { project: string; script: string }) {
  const from = Math.max(0, Number(place.value.query.get("from")) || 0);
  const stopping = useSignal<InstanceView | null>(null);
  const loaded = useLoaded(`copies ${script} ${from}`, async (signal) => (await call("GET /scripts/{script_id}/instances", { script_id: script }, { query: { from, limit: SIZE }, signal })).instances);
  useNews(project, (news) => news.scripts.find((each) => each.id === script), () => void loaded.reload());
  const chosen = stopping.value;
  return (
    <>
      <section class="card flush" aria-busy={loaded.isLoading.value}>
        <Shown loaded={loaded}>
          {(copies) =>
            copies.length === 0 && from === 0 ? (
              <Empty title={words.none} />
            ) : (
              <>
                <Table
                  caption={words.title}
                  rows={copies}
                  keyOf={(copy) => copy.id}
                  columns={[
                    {
                      label: text.columns.key,
                      isLead: true,
                      show: (copy) => <KeyLink project={project} userKey={copy.user_key} />,
                    },
                    { label: words.session, show: (copy) => <span class={copy.session_id === null ? "badge" : "badge good"}>{copy.session_id === null ? words.beats : words.connected}</span> },
                    { label: text.columns.build, isEnd: true, show: (copy) => <span class="number">{copy.build}</span> },
                    { label: words.started, show: (copy) => <Time at={copy.started_at} /> },
                    {
                      label: words.stop,
                      isAction: true,
                      show: (copy) =>
                        may("sessions:stop") && (
                          <button type="button" class="small danger" onClick={() => (stopping.value = copy)}>
                            {words.stop}
                          </button>
                        ),
                    },
                  ]}
                />
                <Foot from={from} many={copies.length} size={SIZE} isLast={copies.length < SIZE} />
              </>
            )
          }
        </Shown>
      </section>
      {chosen && (
        <Confirm
          title={words.stopTitle}
          submit={words.stop}
          onClose={() => (stopping.value = null)}
          run={async () => {
            await call("POST /instances/{instance_id}/stop", { instance_id: chosen.id });
            tell(words.stopped);
            stopping.value = null;
            await loaded.reload();
          }}
        >
          <p class="mono wrap">{chosen.user_key ?? text.keyless}</p>
          <p>{chosen.session_id === null ? words.stopLater : words.stopNow}</p>
        </Confirm>
      )}
    </>
  );
}
