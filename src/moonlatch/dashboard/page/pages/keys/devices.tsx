/** Where a customer runs it: whether one person has the key, or several. */
import { useSignal } from "@preact/signals";
import { call } from "../../api/client";
import { askAhead, type Question, useLoaded } from "../../api/load";
import { may } from "../../api/session";
import type { DevicesReply, EventView, UserView } from "../../api/types";
import { projects } from "../../data/projects";
import { Bars, type Day } from "../../parts/bars";
import { Squares } from "../../parts/squares";
import { Empty, Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { DAY, dayOf, now, numberOf, Time } from "../../parts/time";
import { to } from "../../shell/router";
import { text } from "../../text/en/keys";
import { ruleName } from "../../text/en/sharing";
import { type Device, NameDevice, UnbindDevice } from "./device_actions";

const words = text.page.devices;
const DAYS_SHOWN = 30;
const SIGNS = 20;

function signsOf(id: string): Question<EventView[]> {
  return [`key signs ${id}`, async (signal) => (await call("GET /users/{key}/events", { key: id }, { query: { kind: "user.sharing_suspected", limit: SIGNS }, signal })).events];
}

function devicesOf(id: string): Question<DevicesReply> {
  return [`key devices ${id}`, (signal) => call("GET /users/{key}/devices", { key: id }, { signal })];
}

/** Before it is known whose they are: all of it at once. */
export function askForDevices(id: string): void {
  askAhead(devicesOf(id), ...(may("events:read") ? [signsOf(id)] : []));
}

/** What the rules about shared keys said of it. */
function Signs({ project, id }: { project: string; id: string }) {
  const loaded = useLoaded(...signsOf(id));
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

/** On which days the loader found the host's functions replaced; says nothing where it never did. */
function Hooked({ days }: { days: DevicesReply["days"] }) {
  const found = days.filter((day) => day.hooked > 0);
  if (found.length === 0) return null;
  const starts = found.reduce((all, day) => all + day.hooked, 0);
  return (
    <div class="alert warn">
      <strong>{words.hooked(numberOf(starts), starts === 1, found.length)}</strong>
      <span>{words.hookedMore}</span>
    </div>
  );
}

interface Doing {
  what: "name" | "unbind";
  device: Device;
}

export function Devices({ project, user, reload }: { project: string; user: UserView; reload: () => Promise<void> }) {
  const { id } = user;
  const loaded = useLoaded(...devicesOf(id), usesOf(user));
  const doing = useSignal<Doing | null>(null);
  const close = () => (doing.value = null);
  const done = () => void Promise.all([loaded.reload(), reload()]);
  const rename = (device: Device) =>
    may("keys:write") && (
      <button type="button" class="small" aria-label={words.renameOf(device.name ?? words.unnamed)} onClick={() => (doing.value = { what: "name", device })}>
        {words.rename}
      </button>
    );
  const acted = (
    <>
      {doing.value?.what === "name" && <NameDevice user={user} device={doing.value.device} onClose={close} onDone={done} />}
      {doing.value?.what === "unbind" && <UnbindDevice user={user} device={doing.value.device} onClose={close} onDone={done} />}
    </>
  );
  return (
    <Shown loaded={loaded}>
      {({ bound, devices, networks, executors, days }) => {
        const bindings = bound.length > 0 && (
          <>
            <h2>{words.bindings(bound.length, limitOf(user))}</h2>
            <Table
              caption={words.bindings(bound.length, limitOf(user))}
              rows={bound}
              keyOf={(device) => device.id}
              columns={[
                { label: words.picture, isLead: true, show: (device) => <Squares of={device.picture} /> },
                { label: words.name, show: (device) => device.name && <span class="clip">{device.name}</span> },
                { label: words.since, show: (device) => device.bound_at !== null && <Time at={device.bound_at} /> },
                {
                  label: words.actions,
                  isAction: true,
                  show: (device) =>
                    may("keys:write") && (
                      <span class="row end nowrap">
                        {rename(device)}
                        <button type="button" class="small" aria-label={words.unbindOf(device.name ?? words.unnamed)} onClick={() => (doing.value = { what: "unbind", device })}>
                          {words.unbind}
                        </button>
                      </span>
                    ),
                },
              ]}
            />
          </>
        );
        if (days.length === 0) {
          return (
            <>
              {bindings}
              <Empty title={words.none} />
              {acted}
            </>
          );
        }
        const signs = may("events:read") && <Signs project={project} id={id} />;
        const programs = Object.entries(executors);
        return (
          <>
            {acted}
            <p>
              <strong>{words.said(devices.length, networks.length)}</strong> <span class="quiet">{words.more}</span>
            </p>
            <Bars title={words.perDay} days={everyDay(days)} />
            <Hooked days={days} />
            {signs}
            {bindings}
            <h2>{words.used}</h2>
            <Table
              caption={words.used}
              rows={devices}
              keyOf={(device) => device.id}
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
                { label: words.name, show: (device) => device.name && <span class="clip short">{device.name}</span> },
                { label: words.starts, isEnd: true, show: (device) => <span class="number">{numberOf(device.starts)}</span> },
                { label: words.days, isEnd: true, show: (device) => <span class="number">{device.days}</span> },
                { label: words.networks, isEnd: true, show: (device) => <span class="number">{device.networks}</span> },
                { label: words.first, show: (device) => <Time at={device.first_at} /> },
                { label: words.last, show: (device) => <Time at={device.last_at} /> },
                { label: words.actions, isAction: true, show: (device) => !device.is_bound && rename(device) },
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

/** Another text after every start and every reset: what a key is bound to may have changed with either. */
export function usesOf(user: UserView): string {
  return `${user.executions} ${user.total_fingerprint_resets}`;
}

/** To how many devices a key may be bound. */
export function limitOf(user: UserView): number {
  return user.max_devices ?? projects.value?.find((project) => project.id === user.project_id)?.max_devices ?? 1;
}

/** One bar for each of the last days, used or not. */
function everyDay(used: DevicesReply["days"]): Day[] {
  const known = new Map(used.map((each) => [each.day, each]));
  return Array.from({ length: DAYS_SHOWN }, (_, index) => {
    const at = now.value - (DAYS_SHOWN - 1 - index) * DAY;
    const day = known.get(new Date(at).toISOString().slice(0, 10));
    const more = day === undefined ? [] : [...(day.devices > 1 || day.networks > 1 ? [words.ofDay(day.devices, day.networks)] : []), ...(day.hooked > 0 ? [words.hookedOfDay(day.hooked)] : [])];
    return { label: dayOf(at), value: day?.starts ?? 0, ...(more.length > 0 && { more: more.join(", ") }) };
  });
}
