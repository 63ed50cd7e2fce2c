/** Every page: its address, its words, and the file that it is loaded from when somebody goes there. */
import type { ComponentType } from "preact";
import type { Permission } from "../api/types";
import type { IconName } from "../parts/icons";
import { text } from "../text/en/shell";
import { match } from "./router";

export interface PageProps {
  /** The named parts of the address. */
  project: string;
  id: string;
}

type Page = ComponentType<PageProps>;

export interface Route {
  pattern: string;
  title: string;
  load: () => Promise<{ default: Page }>;
  /** What it takes to be of use; who lacks it is not led there. */
  permission?: Permission;
  /** In the navigation: below the project, or below the account. */
  group?: "project" | "account";
  icon?: IconName;
  /** The second key after `g`. */
  key?: string;
  /** The pattern of the page that is marked in the navigation while this one is shown. */
  within?: string;
}

/** Where a one-time link leads to, for whoever is nobody yet. */
export const INVITATION = "/invite/:secret";

export const ROUTES: Route[] = [
  { pattern: "/", title: text.nav.overview, load: () => import("../pages/home") },
  { pattern: "/projects/:project/overview", title: text.nav.overview, load: () => import("../pages/overview/page"), group: "project", icon: "overview", key: "o", permission: "projects:read" },
  { pattern: "/projects/:project/scripts", title: text.nav.scripts, load: () => import("../pages/scripts/list"), group: "project", icon: "scripts", key: "s", permission: "scripts:read" },
  { pattern: "/projects/:project/scripts/:id", title: text.nav.scripts, load: () => import("../pages/scripts/script"), within: "/projects/:project/scripts" },
  { pattern: "/projects/:project/server", title: text.nav.server, load: () => import("../pages/server/page"), group: "project", icon: "installation", key: "v", permission: "scripts:read" },
  { pattern: "/projects/:project/live", title: text.nav.live, load: () => import("../pages/live/page"), group: "project", icon: "live", key: "l", permission: "sessions:read" },
  { pattern: "/projects/:project/keys", title: text.nav.keys, load: () => import("../pages/keys/list"), group: "project", icon: "keys", key: "k", permission: "keys:read" },
  { pattern: "/projects/:project/keys/:id", title: text.nav.keys, load: () => import("../pages/keys/key"), within: "/projects/:project/keys" },
  { pattern: "/projects/:project/removed", title: text.nav.removed, load: () => import("../pages/keys/removed"), within: "/projects/:project/keys", permission: "keys:read" },
  { pattern: "/projects/:project/bars", title: text.nav.bars, load: () => import("../pages/keys/bars"), within: "/projects/:project/keys", permission: "keys:read" },
  { pattern: "/projects/:project/events", title: text.nav.events, load: () => import("../pages/events/page"), group: "project", icon: "events", key: "e", permission: "events:read" },
  { pattern: "/projects/:project/webhooks", title: text.nav.webhooks, load: () => import("../pages/webhooks/list"), group: "project", icon: "webhooks", key: "w", permission: "webhooks:read" },
  { pattern: "/projects/:project/webhooks/:id", title: text.nav.webhooks, load: () => import("../pages/webhooks/webhook"), within: "/projects/:project/webhooks" },
  { pattern: "/projects/:project/checkpoints", title: text.nav.checkpoints, load: () => import("../pages/checkpoints/list"), group: "project", icon: "checkpoints", key: "c", permission: "checkpoints:read" },
  { pattern: "/projects/:project/checkpoints/:id", title: text.nav.checkpoints, load: () => import("../pages/checkpoints/checkpoint"), within: "/projects/:project/checkpoints" },
  { pattern: "/projects/:project/discord", title: text.nav.discord, load: () => import("../pages/discord/page"), group: "project", icon: "message", key: "d", permission: "discord:read" },
  { pattern: "/projects/:project/settings", title: text.nav.settings, load: () => import("../pages/settings/project"), group: "project", icon: "settings", permission: "projects:read" },
  { pattern: "/projects", title: text.nav.projects, load: () => import("../pages/settings/projects"), group: "account", icon: "projects", key: "p", permission: "projects:read" },
  { pattern: "/team", title: text.nav.team, load: () => import("../pages/team/page"), group: "account", icon: "team", key: "t", permission: "tokens:read" },
  { pattern: "/events", title: text.nav.accountEvents, load: () => import("../pages/events/page"), group: "account", icon: "events", permission: "events:read" },
  { pattern: "/me", title: text.nav.you, load: () => import("../pages/me/page") },
  { pattern: "/account", title: text.nav.installation, load: () => import("../pages/settings/account"), group: "account", icon: "installation", permission: "account:read" },
];

export interface Found {
  route: Route;
  props: PageProps;
}

/** The page at an address; null where there is none. */
export function pageAt(path: string): Found | null {
  for (const route of ROUTES) {
    const parts = match(route.pattern, path);
    if (parts) return { route, props: { project: parts.project ?? "", id: parts.id ?? "" } };
  }
  return null;
}

export function addressOf(route: Route, project: string): string {
  return `#${route.pattern.replace(":project", project)}`;
}
