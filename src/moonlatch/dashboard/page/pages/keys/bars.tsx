/** What a project keeps out: devices and networks of blacklisted keys, which can be let in again. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { useNews } from "../../api/news";
import { may } from "../../api/session";
import type { BarView } from "../../api/types";
import { choosing } from "../../parts/chosen";
import { Confirm } from "../../parts/confirm";
import { Foot } from "../../parts/pages";
import { Squares } from "../../parts/squares";
import { Empty, Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { moment } from "../../parts/time";
import { tell } from "../../parts/toast";
import type { PageProps } from "../../shell/pages";
import { place, to } from "../../shell/router";
import { text } from "../../text/en/keys";

const words = text.bars;
const SIZE = 50;

export default function BarredOut({ project }: PageProps) {
  const from = Math.max(0, Number(place.value.query.get("from")) || 0);
  const loaded = useLoaded(`bars ${project} ${from}`, async (signal) => (await call("GET /projects/{project_id}/bars", { project_id: project }, { query: { from, limit: SIZE }, signal })).bars);
  useNews(project, (news) => news.event, () => void loaded.reload());
  const chosen = useSignal<ReadonlySet<string>>(new Set());
  const isLifting = useSignal(false);
  useEffect(() => {
    chosen.value = new Set();
  }, [project, from]);
  const choose = choosing(chosen);
  return (
    <div class="stack">
      <div class="head">
        <div>
          <p class="small">
            <a href={to(`/projects/${project}/keys`)}>{text.title}</a>
          </p>
          <h1>{words.title}</h1>
          <p>{words.more}</p>
        </div>
      </div>
      <section class="card flush" aria-busy={loaded.isLoading.value}>
        <Shown loaded={loaded}>
          {(bars) =>
            bars.length === 0 && from === 0 ? (
              <Empty title={words.none}>
                <p>{words.noneMore}</p>
              </Empty>
            ) : (
              <>
                <Table
                  caption={words.title}
                  rows={bars}
                  keyOf={(bar) => `${bar.id} ${bar.user_id}`}
                  columns={[
                    ...(may("keys:write")
                      ? [
                          {
                            label: "",
                            head: <input type="checkbox" aria-label={text.selectAll} checked={bars.length > 0 && bars.every((bar) => chosen.value.has(bar.id))} onChange={(event: Event & { currentTarget: HTMLInputElement }) => choose(bars.map((bar) => bar.id), event.currentTarget.checked)} />,
                            show: (bar: BarView) => <input type="checkbox" aria-label={text.select(`${words.kinds[bar.kind]}, ${bar.user_key ?? bar.user_id}`)} checked={chosen.value.has(bar.id)} onChange={(event) => choose([bar.id], event.currentTarget.checked)} />,
                          },
                        ]
                      : []),
                    { label: words.what, isLead: true, show: (bar) => words.kinds[bar.kind] },
                    { label: words.picture, show: (bar) => <Squares of={bar.picture} /> },
                    {
                      label: words.key,
                      show: (bar) => (
                        <a class="mono clip short" href={to(`/projects/${project}/keys/${bar.user_id}`)}>
                          {bar.user_key ?? bar.user_id}
                        </a>
                      ),
                    },
                    { label: words.until, show: (bar) => (bar.expires_at === null ? words.forGood : moment(bar.expires_at)) },
                  ]}
                />
                <Foot from={from} many={bars.length} size={SIZE} isLast={bars.length < SIZE} />
              </>
            )
          }
        </Shown>
      </section>
      {chosen.value.size > 0 && (
        <div class="selection" role="region" aria-label={words.lift}>
          <strong class="grow">{text.selected(chosen.value.size)}</strong>
          <button type="button" class="primary" onClick={() => (isLifting.value = true)}>
            {words.lift}
          </button>
          <button type="button" class="plain" onClick={() => (chosen.value = new Set())}>
            {text.clear}
          </button>
        </div>
      )}
      {isLifting.value && (
        <Confirm
          title={words.liftTitle(chosen.value.size)}
          submit={words.lift}
          onClose={() => (isLifting.value = false)}
          run={async () => {
            const { lifted } = await call("POST /projects/{project_id}/bars/lift", { project_id: project }, { body: { bars: [...chosen.value] } });
            tell(words.lifted(lifted));
            isLifting.value = false;
            chosen.value = new Set();
            await loaded.reload();
          }}
        >
          <p>{words.liftMore}</p>
        </Confirm>
      )}
    </div>
  );
}
