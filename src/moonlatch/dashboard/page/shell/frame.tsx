/** What is around every page, and which page is in it. */
import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { isConnected } from "../api/connection";
import { follow } from "../api/news";
import { may } from "../api/session";
import { current } from "../data/projects";
import { Empty, Failure } from "../parts/status";
import { Toasts } from "../parts/toast";
import { text } from "../text/en/shell";
import { listen } from "./keyboard";
import { inSpareTime, later } from "./later";
import { Navigation } from "./navigation";
import { areShortcutsShown, isOpen } from "./open";
import { type Found, type PageProps, pageAt, ROUTES } from "./pages";
import { path, to } from "./router";

interface Current {
  path: string;
  page: ComponentType<PageProps> | null;
  props: PageProps;
  failure?: unknown;
}

export function Frame() {
  const project = current.value?.id;
  const isFollowed = project !== undefined && may("scripts:read");
  useEffect(listen, []);
  useEffect(() => (isFollowed ? follow(project) : undefined), [project, isFollowed]);
  return (
    <>
      <a class="skip button" href="#main" onClick={toMain}>
        {text.skip}
      </a>
      <div class="frame">
        <Navigation />
        <div>
          {!isConnected.value && (
            <div class="notice lost" role="status">
              <span class="spin" />
              {text.connection.lost}
            </div>
          )}
          <Page />
        </div>
      </div>
      <Toasts />
      <Later isOpen={isOpen.value} load={async () => (await import("./palette")).Palette} />
      <Later isOpen={areShortcutsShown.value} load={async () => (await import("./shortcuts")).Shortcuts} />
    </>
  );
}

/** The address behind the `#` is the page's, so the link moves the focus itself. */
function toMain(event: Event) {
  event.preventDefault();
  document.querySelector<HTMLElement>("main h1")?.focus();
}

function Page() {
  const shown = useSignal<Current | null>(null);
  const wanted = path.value;
  useLayoutEffect(() => {
    let isWanted = true;
    const found = pageAt(wanted);
    void open(wanted, found).then((next) => {
      if (isWanted) shown.value = next;
    });
    return () => {
      isWanted = false;
    };
  }, [wanted]);
  useEffect(() => {
    if (shown.value) return arrive();
    return undefined;
  }, [shown.value?.path]);
  const isFirst = shown.value === null;
  useEffect(() => {
    if (!isFirst) void inSpareTime(ROUTES.map((route) => route.load));
  }, [isFirst]);
  const now = shown.value;
  return (
    <main class="main" id="main" data-place={now?.path}>
      {now && <Content now={now} />}
    </main>
  );
}

function Content({ now }: { now: Current }) {
  if (now.failure !== undefined) return <Failure failure={now.failure} again={() => location.reload()} />;
  if (now.page !== null) return <now.page key={now.path} {...now.props} />;
  return (
    <Empty title={text.failure.gone}>
      <a class="button" href={to("/")}>
        {text.failure.back}
      </a>
    </Empty>
  );
}

async function open(path: string, found: Found | null): Promise<Current> {
  if (found === null) return { path, page: null, props: { project: "", id: "" } };
  try {
    const loaded = await later(found.route.load);
    document.title = `${found.route.title} · ${text.product}`;
    return { path, page: loaded.default, props: found.props };
  } catch (failure) {
    return { path, page: null, props: found.props, failure };
  }
}

/** Whoever goes to another page begins at its head, with the eyes and with the keyboard; also where it is only named once it is loaded. */
function arrive(): () => void {
  scrollTo(0, 0);
  const before = document.activeElement;
  const watch = new MutationObserver(focusHeading);
  function focusHeading() {
    const heading = document.querySelector<HTMLElement>("main h1");
    if (!heading) return;
    watch.disconnect();
    // Somebody was faster, and is elsewhere on the page already.
    if (document.activeElement !== before && document.activeElement !== document.body) return;
    heading.setAttribute("tabindex", "-1");
    heading.focus({ preventScroll: true });
  }
  watch.observe(document.body, { childList: true, subtree: true });
  focusHeading();
  return () => watch.disconnect();
}

/** A box that is loaded when it is first opened. */
function Later({ isOpen, load }: { isOpen: boolean; load: () => Promise<ComponentType> }) {
  const box = useSignal<ComponentType | null>(null);
  const asked = useRef(false);
  if (isOpen && !asked.current) {
    asked.current = true;
    void later(load).then((loaded) => (box.value = loaded));
  }
  const Box = box.value;
  return isOpen && Box ? <Box /> : null;
}
