/** Where a customer runs it: whether one person has the key, or several. */
import { call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { may } from "../../api/session";
import type { DevicesReply } from "../../api/types";
import { Bars, type Day } from "../../parts/bars";
import { Squares } from "../../parts/squares";
import { Empty, Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { DAY, dayOf, now, numberOf, Time } from "../../parts/time";
import { to } from "../../shell/router";
import { text } from "../../text/en/keys";
import { ruleName } from "../../text/en/sharing";

const words = text.page.devices;
const DAYS_SHOWN = 30;
const SIGNS = 20;

/** What the rules about shared keys said of it. */
function Signs({ project, id }: { project: string; id: string }) {
  const loaded = useLoaded(`key signs ${id}`, async (signal) => (await call("GET /users/{key}/events", { key: id }, { query: { kind: "user.sharing_suspected", limit: SIGNS }, signal })).events);
  return (
    <>
      <div class="row between">
        <h2>{words.signs}</h2>
        <a class="small" href={to(`/projects/${project}/settings`)}>
          {words.rules}
        </a>
      </div>
      <Shown loaded={loaded}>
        {(events) =>
          events.length === 0 ? (
            <p class="quiet">{words.noSigns}</p>
          ) : (
            <ul class="timeline">
              {events.map((event) => (
                <li key={event.id}>
                  <span>{Object.entries(event.changes).map(([rule, [limit, seen]]) => words.sign(ruleName(rule), String(limit), String(seen))).join("; ")}</span>
                  <span class="small quiet">
                    <Time at={event.at} />
                  </span>
                </li>
              ))}
            </ul>
          )
        }
      </Shown>
    </>
  );
}

export function Devices({ project, id }: { project: string; id: string }) {
  const loaded = useLoaded(`key devices ${id}`, (signal) => call("GET /users/{key}/devices", { key: id }, { signal }));
  return (
    <Shown loaded={loaded}>
      {({ devices, networks, executors, days }) => {
        if (days.length === 0) return <Empty title={words.none} />;
        const signs = may("events:read") && <Signs project={project} id={id} />;
        const programs = Object.entries(executors);
        return (
          <>
            <p>
              <strong>{words.said(devices.length, networks.length)}</strong> <span class="quiet">{words.more}</span>
            </p>
            <Bars title={words.perDay} days={everyDay(days)} />
            {signs}
            <h2>{words.devices}</h2>
            <Table
              caption={words.devices}
              rows={devices}
              keyOf={(device) => device.picture}
              columns={[
                {
                  label: words.picture,
                  isLead: true,
                  show: (device) => (
                    <span class="row tight">
                      <Squares of={device.picture} />
                      {device.is_bound && <span class="badge good">{words.bound}</span>}
                    </span>
                  ),
                },
                { label: words.starts, isEnd: true, show: (device) => <span class="number">{numberOf(device.starts)}</span> },
                { label: words.days, isEnd: true, show: (device) => <span class="number">{device.days}</span> },
                { label: words.networks, isEnd: true, show: (device) => <span class="number">{device.networks}</span> },
                { label: words.first, show: (device) => <Time at={device.first_at} /> },
                { label: words.last, show: (device) => <Time at={device.last_at} /> },
              ]}
            />
            <h2>{words.networks}</h2>
            <Table
              caption={words.networks}
              rows={networks}
              keyOf={(network) => network.picture}
              columns={[
                { label: words.picture, isLead: true, show: (network) => <Squares of={network.picture} /> },
                { label: words.starts, isEnd: true, show: (network) => <span class="number">{numberOf(network.starts)}</span> },
                { label: words.days, isEnd: true, show: (network) => <span class="number">{network.days}</span> },
                { label: words.devices, isEnd: true, show: (network) => <span class="number">{network.devices}</span> },
                { label: words.first, show: (network) => <Time at={network.first_at} /> },
                { label: words.last, show: (network) => <Time at={network.last_at} /> },
              ]}
            />
            {programs.length > 0 && (
              <p class="small quiet wrap">
                {words.programs}: {programs.map(([name, many]) => `${name} (${numberOf(many)})`).join(", ")}
              </p>
            )}
          </>
        );
      }}
    </Shown>
  );
}

/** One bar for each of the last days, used or not. */
function everyDay(used: DevicesReply["days"]): Day[] {
  const known = new Map(used.map((each) => [each.day, each]));
  return Array.from({ length: DAYS_SHOWN }, (_, index) => {
    const at = now.value - (DAYS_SHOWN - 1 - index) * DAY;
    const day = known.get(new Date(at).toISOString().slice(0, 10));
    const isShared = day !== undefined && (day.devices > 1 || day.networks > 1);
    return { label: dayOf(at), value: day?.starts ?? 0, ...(isShared && { more: words.ofDay(day.devices, day.networks) }) };
  });
}
