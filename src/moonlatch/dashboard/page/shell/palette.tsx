/** Finds anything by what somebody has at hand, and goes there. */
import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import { call } from "../api/client";
import { may } from "../api/session";
import { current, projects } from "../data/projects";
import { useModal } from "../parts/dialog";
import { Icon, type IconName } from "../parts/icons";
import { text } from "../text/en/palette";
import { isOpen } from "./open";
import { addressOf, ROUTES } from "./pages";
import { go, to } from "./router";

interface Hit {
  address: string;
  icon: IconName;
  title: string;
  kind: string;
}

const PAUSE_MS = 120;
const MOST_PROJECTS = 8;
const MOST_SHOWN = 12;
const ID = /^[A-Za-z0-9_-]{8,64}$/;
const DISCORD_ID = /^(?:<@!?)?([0-9]{15,25})>?$/;

export function Palette() {
  const box = useRef<HTMLDialogElement>(null);
  const id = useId();
  const wanted = useSignal("");
  const found = useSignal<Hit[]>([]);
  const isSearching = useSignal(false);
  const chosen = useSignal(0);
  const hits = useComputed(() => [...pagesFor(wanted.value), ...found.value].slice(0, MOST_SHOWN));

  useModal(box);
  useEffect(() => {
    const asked = wanted.value.trim();
    found.value = [];
    if (asked.length < 2) return;
    const stop = new AbortController();
    isSearching.value = true;
    const timer = setTimeout(async () => {
      await search(asked, stop.signal, (more) => {
        if (!stop.signal.aborted) found.value = [...found.value, ...more];
      });
      if (!stop.signal.aborted) isSearching.value = false;
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
      isSearching.value = false;
    };
  }, [wanted.value]);

  function pressed(event: KeyboardEvent) {
    const count = hits.value.length;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (count > 0) chosen.value = (chosen.value + (event.key === "ArrowDown" ? 1 : count - 1)) % count;
    } else if (event.key === "Enter") {
      event.preventDefault();
      const hit = hits.value[chosen.value];
      if (hit) open(hit);
    }
  }

  function open(hit: Hit) {
    isOpen.value = false;
    go(hit.address);
  }

  return (
    <dialog ref={box} class="palette" aria-label={text.palette.title} onClose={() => (isOpen.value = false)} onClick={(event) => event.target === box.current && box.current?.close()}>
      <input
        type="text"
        role="combobox"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={hits.value.length > 0 ? `${id}-${chosen.value}` : undefined}
        aria-label={text.palette.placeholder}
        placeholder={text.palette.placeholder}
        autoComplete="off"
        spellcheck={false}
        maxLength={128}
        onKeyDown={pressed}
        onInput={(event) => {
          chosen.value = 0;
          wanted.value = event.currentTarget.value;
        }}
      />
      <ul id={id} role="listbox" aria-label={text.palette.title}>
        {hits.value.map((hit, index) => (
          <li key={hit.address + hit.title} id={`${id}-${index}`} role="option" aria-selected={index === chosen.value} onPointerMove={() => (chosen.value = index)} onClick={() => open(hit)}>
            <Icon name={hit.icon} />
            <span>{hit.title}</span>
            <span class="quiet">{hit.kind}</span>
          </li>
        ))}
      </ul>
      <p aria-live="polite">{hits.value.length > 0 ? text.palette.hint : isSearching.value ? `${text.palette.searching} …` : text.palette.nothing}</p>
    </dialog>
  );
}

function pagesFor(wanted: string): Hit[] {
  const words = wanted.trim().toLowerCase();
  const project = current.value;
  const pages = ROUTES.filter((route) => route.group && (route.group === "account" || project) && (!route.permission || may(route.permission)))
    .filter((route) => route.title.toLowerCase().includes(words))
    .map((route) => ({ address: addressOf(route, project?.id ?? ""), icon: route.icon ?? "overview", title: route.title, kind: text.palette.page }) satisfies Hit);
  const named = words === "" ? [] : (projects.value ?? []).filter((each) => each.name.toLowerCase().includes(words) || each.id === wanted.trim());
  return [
    ...pages,
    ...named.slice(0, MOST_PROJECTS).map((each) => ({ address: to(`/projects/${each.id}/overview`), icon: "projects" as const, title: each.name, kind: text.palette.project })),
  ];
}

/** Ask for everything that it could be, all at once; what is not there, or not to be seen, is no hit. */
async function search(wanted: string, signal: AbortSignal, found: (hits: Hit[]) => void): Promise<void> {
  // The project that is looked at first; of many, the others are not all asked.
  const all = [current.value, ...(projects.value ?? [])].filter((each, index, list) => each && list.indexOf(each) === index).slice(0, MOST_PROJECTS);
  const discord = DISCORD_ID.exec(wanted)?.[1];
  const tries: Promise<Hit[]>[] = [];
  if (ID.test(wanted) && !discord) {
    if (may("keys:read")) tries.push(call("GET /users/{key}", { key: wanted }, { signal }).then(({ user }) => [keyHit(user)]));
    if (wanted.length === 32) {
      if (may("scripts:read")) tries.push(call("GET /scripts/{script_id}", { script_id: wanted }, { signal }).then(({ script }) => [scriptHit(script)]));
      if (may("sessions:read")) tries.push(sessionHit(wanted, signal));
    }
  }
  for (const project of all) {
    if (!project) continue;
    const at = { project_id: project.id };
    if (discord && may("keys:read")) {
      tries.push(call("GET /projects/{project_id}/users", at, { query: { discord_id: discord, limit: 5 }, signal }).then(({ users }) => users.map(keyHit)));
    }
    if (!discord && may("scripts:read")) {
      tries.push(call("GET /projects/{project_id}/scripts", at, { query: { limit: 1000 }, signal }).then(({ scripts }) => scripts.filter((script) => script.name.toLowerCase().includes(wanted.toLowerCase())).slice(0, 5).map(scriptHit)));
    }
  }
  await Promise.allSettled(tries.map((each) => each.then(found)));
}

function keyHit(user: { id: string; project_id: string; key: string; note: string | null }): Hit {
  return { address: to(`/projects/${user.project_id}/keys/${user.id}`), icon: "keys", title: user.note ? `${user.key} (${user.note})` : user.key, kind: text.palette.key };
}

function scriptHit(script: { id: string; project_id: string; name: string }): Hit {
  return { address: to(`/projects/${script.project_id}/scripts/${script.id}`), icon: "scripts", title: script.name, kind: text.palette.script };
}

async function sessionHit(id: string, signal: AbortSignal): Promise<Hit[]> {
  const { session } = await call("GET /sessions/{session_id}", { session_id: id }, { signal });
  const { script } = await call("GET /scripts/{script_id}", { script_id: session.script_id }, { signal });
  return [{ address: to(`/projects/${script.project_id}/live`, { script: script.id, session: id }), icon: "live", title: `${script.name}: ${session.user_key ?? id}`, kind: text.palette.session }];
}
