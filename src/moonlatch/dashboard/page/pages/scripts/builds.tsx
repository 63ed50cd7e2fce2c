/** The builds that are kept, which of them is served, and which channels serve another. */
import { useSignal } from "@preact/signals";
import { call } from "../../api/client";
import { askAhead, type Question, useLoaded } from "../../api/load";
import { useNews } from "../../api/news";
import { may } from "../../api/session";
import type { BuildView, ScriptView } from "../../api/types";
import { Empty, Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { bytesOf, Time } from "../../parts/time";
import { text } from "../../text/en/scripts";
import { BuildFacts, RollBack, Yank } from "./build_actions";
import { Channels, channelsOf } from "./channels";
import { Pins, pinsFrom, pinsOf } from "./pins";
import { Rollouts, rolloutsOf } from "./rollouts";
import { Scheduled, scheduledOf } from "./scheduled";

const words = text.builds;

interface Doing {
  what: "look" | "roll_back" | "yank";
  build: BuildView;
  /** Of the script as it was when somebody decided. */
  etag: string | null;
}

function buildsOf(script: string): Question<BuildView[]> {
  return [`builds ${script}`, async (signal) => (await call("GET /scripts/{script_id}/builds", { script_id: script }, { signal })).builds];
}

/** Before it is known which script it is about: all of it at once. */
export function askForBuilds(script: string): void {
  askAhead(buildsOf(script), rolloutsOf(script), scheduledOf(script), channelsOf(script), ...(may("keys:read") ? [pinsOf(script, pinsFrom())] : []));
}

export function Builds({ script, etag, reload: reloadScript }: { script: ScriptView; etag: string | null; reload: () => Promise<void> }) {
  const changes = useSignal(0);
  const version = `${etag} ${changes.value}`;
  const loaded = useLoaded(...buildsOf(script.id), version);
  const doing = useSignal<Doing | null>(null);
  const close = () => (doing.value = null);
  const reload = async () => {
    changes.value += 1;
    await reloadScript();
  };
  useNews(script.project_id, (news) => news.event, () => (changes.value += 1));
  const mayPublish = may("scripts:publish");
  const begin = (what: Doing["what"], build: BuildView) => () => (doing.value = { what, build, etag });
  return (
    <Shown loaded={loaded}>
      {(builds) =>
        builds.length === 0 ? (
          <Empty title={words.none}>
            <p>{words.noneMore}</p>
          </Empty>
        ) : (
          <>
            <Table
              caption={text.page.tabs.builds}
              rows={builds}
              keyOf={(build) => build.number}
              columns={[
                {
                  label: words.number,
                  isLead: true,
                  show: (build) => (
                    <span class="row">
                      <button type="button" class="link" aria-label={words.look(build.number)} onClick={begin("look", build)}>
                        <strong class="number">{build.number}</strong>
                      </button>
                      {build.label !== null && <span class="clip short">{build.label}</span>}
                      {build.current && <span class="badge good">{words.current}</span>}
                      {build.yanked_at !== null && <span class="badge bad">{words.yanked}</span>}
                    </span>
                  ),
                },
                { label: words.profile, show: (build) => (build.engine === "embedded" ? build.profile : build.engine) },
                { label: words.payload, isEnd: true, show: (build) => <span class="number whole">{bytesOf(build.payload_bytes)}</span> },
                { label: words.created, show: (build) => <Time at={build.created_at} /> },
                { label: words.by, show: (build) => build.published_by && <span class="clip short">{build.published_by.name}</span> },
                {
                  label: words.actions,
                  isAction: true,
                  show: (build) =>
                    mayPublish &&
                    build.yanked_at === null && (
                      <span class="row end nowrap">
                        {!build.current && (
                          <button type="button" class="small" aria-label={words.serveNamed(build.number)} onClick={begin("roll_back", build)}>
                            {words.serve}
                          </button>
                        )}
                        <button type="button" class="small danger" aria-label={words.yankNamed(build.number)} onClick={begin("yank", build)}>
                          {words.yank}
                        </button>
                      </span>
                    ),
                },
              ]}
            />
            <Rollouts script={script} etag={etag} version={version} builds={builds} reload={reload} />
            <Scheduled script={script} etag={etag} version={version} builds={builds} reload={reload} />
            <Channels script={script} etag={etag} version={version} builds={builds} reload={reload} />
            {may("keys:read") && <Pins script={script} version={version} />}
            {doing.value?.what === "look" && <BuildFacts build={doing.value.build} onClose={close} />}
            {doing.value?.what === "roll_back" && <RollBack script={script} {...doing.value} onClose={close} onDone={reload} />}
            {doing.value?.what === "yank" && <Yank script={script} {...doing.value} builds={builds} onClose={close} onDone={reload} />}
          </>
        )
      }
    </Shown>
  );
}
