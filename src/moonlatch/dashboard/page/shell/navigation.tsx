/** The way through the pages: which project, which page of it, and who is signed in. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { may, me } from "../api/session";
import { signOut } from "../data/arrival";
import { current, projects } from "../data/projects";
import { Icon } from "../parts/icons";
import { text } from "../text/en/shell";
import { beforehand } from "./later";
import { isOpen as isPaletteOpen } from "./open";
import { addressOf, pageAt, type Route, ROUTES } from "./pages";
import { go, path, to } from "./router";
import { choose, THEMES, theme, type Theme } from "./theme";

export function Navigation() {
  const isOpen = useSignal(false);
  useEffect(() => {
    isOpen.value = false;
  }, [path.value]);
  return (
    <>
      <header class="bar">
        <Brand />
        <button type="button" class="plain icon" aria-label={text.nav.find} onClick={() => (isPaletteOpen.value = true)}>
          <Icon name="find" />
        </button>
        <button type="button" class="plain icon" aria-label={text.nav.menu} aria-expanded={isOpen.value} onClick={() => (isOpen.value = !isOpen.value)}>
          <Icon name={isOpen.value ? "close" : "menu"} />
        </button>
      </header>
      <aside class="side" aria-label={text.nav.menu} data-open={isOpen.value}>
        <Brand />
        <button type="button" class="find" onClick={() => (isPaletteOpen.value = true)}>
          <Icon name="find" />
          {text.nav.find}
          <kbd>Ctrl K</kbd>
        </button>
        <nav aria-label={text.nav.pages}>
          <ProjectPages />
          <Group title={text.nav.account} routes={ROUTES.filter((route) => route.group === "account")} project="" />
        </nav>
        <div class="side-foot">
          <Themes />
          <Who />
        </div>
      </aside>
    </>
  );
}

function Brand() {
  return (
    <a class="brand" href={to("/")}>
      <img src="assets/icon.svg" alt="" />
      {text.product}
    </a>
  );
}

function ProjectPages() {
  const project = current.value;
  const all = projects.value ?? [];
  if (!project) return null;
  return (
    <div class="stack">
      <select
        aria-label={text.nav.choose}
        value={project.id}
        onChange={(event) => go(sameIn(event.currentTarget.value))}
      >
        {all.map((each) => (
          <option key={each.id} value={each.id}>
            {each.name}
          </option>
        ))}
      </select>
      <Group routes={ROUTES.filter((route) => route.group === "project")} project={project.id} />
    </div>
  );
}

/** The page that is shown, of another project; of one thing there is none. */
function sameIn(project: string): string {
  const route = pageAt(path.value)?.route;
  const same = ROUTES.find((each) => each.group === "project" && each.pattern === (route?.within ?? route?.pattern));
  return to(`/projects/${project}/${same ? same.pattern.split("/").pop() : "overview"}`);
}

function Group({ title, routes, project }: { title?: string; routes: Route[]; project: string }) {
  const here = pageAt(path.value)?.route;
  const shown = routes.filter((route) => !route.permission || may(route.permission));
  return (
    <div>
      {title && <h2>{title}</h2>}
      <ul>
        {shown.map((route) => (
          <li key={route.pattern}>
            <a
              href={addressOf(route, project)}
              aria-current={(here?.within ?? here?.pattern) === route.pattern ? "page" : undefined}
              onPointerEnter={() => void beforehand(route.load)}
              onFocus={() => void beforehand(route.load)}
            >
              {route.icon && <Icon name={route.icon} />}
              {route.title}
            </a>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Themes() {
  return (
    <label class="row small quiet themes">
      <Icon name="sun" />
      <span class="visually-hidden">{text.theme.label}</span>
      <select class="grow" value={theme.value} onChange={(event) => choose(event.currentTarget.value as Theme)}>
        {THEMES.map((each) => (
          <option key={each} value={each}>
            {`${text.theme.label}: ${text.theme[each]}`}
          </option>
        ))}
      </select>
    </label>
  );
}

function Who() {
  const who = me.value;
  if (!who) return null;
  return (
    <div class="who">
      <span>
        {who.kind === "member" ? <a href={to("/me")}>{who.name}</a> : <strong>{who.name}</strong>}
        <span class="small quiet">{who.kind === "member" ? `${who.account_name}, ${who.role}` : `${who.account_name}, ${text.nav.asToken}`}</span>
      </span>
      <button type="button" class="plain icon" aria-label={text.nav.signOut} title={text.nav.signOut} onClick={() => void signOut()}>
        <Icon name="out" />
      </button>
    </div>
  );
}
