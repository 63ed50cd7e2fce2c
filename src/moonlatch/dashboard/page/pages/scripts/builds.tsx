/** The builds that are kept. */
import { call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { Empty, Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { bytesOf, Time } from "../../parts/time";
import { text } from "../../text/en/scripts";

const words = text.builds;

export function Builds({ script }: { script: string }) {
  const loaded = useLoaded(`builds ${script}`, async (signal) => (await call("GET /scripts/{script_id}/builds", { script_id: script }, { signal })).builds);
  return (
    <Shown loaded={loaded}>
      {(builds) =>
        builds.length === 0 ? (
          <Empty title={words.none}>
            <p>{words.noneMore}</p>
          </Empty>
        ) : (
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
                    <strong class="number">{build.number}</strong>
                    {build.current && <span class="badge good">{words.current}</span>}
                  </span>
                ),
              },
              { label: words.profile, show: (build) => (build.engine === "embedded" ? build.profile : build.engine) },
              { label: words.target, show: (build) => build.target },
              { label: words.source, isEnd: true, show: (build) => <span class="number whole">{bytesOf(build.source_bytes)}</span> },
              { label: words.payload, isEnd: true, show: (build) => <span class="number whole">{bytesOf(build.payload_bytes)}</span> },
              { label: words.created, show: (build) => <Time at={build.created_at} /> },
            ]}
          />
        )
      }
    </Shown>
  );
}
