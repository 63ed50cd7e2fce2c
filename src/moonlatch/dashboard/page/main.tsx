/** Starts the page: who is signed in, then what they came for. */
import { computed, signal } from "@preact/signals";
import { type ComponentType, render } from "preact";
import { useEffect } from "preact/hooks";
import { ApiError } from "./api/errors";
import { forgetLoaded } from "./api/load";
import { me } from "./api/session";
import { arrive } from "./data/arrival";
import { Frame } from "./shell/frame";
import { later } from "./shell/later";
import { INVITATION } from "./shell/pages";
import { match, path } from "./shell/router";
import { show } from "./shell/theme";
import { Failure } from "./parts/status";

const failure = signal<unknown>(undefined);
const WayIn = signal<ComponentType | null>(null);
const isInvited = computed(() => match(INVITATION, path.value) !== null);

async function start() {
  failure.value = undefined;
  try {
    await arrive();
  } catch (caught) {
    // Nobody, to whom the way in is shown already.
    if (!(caught instanceof ApiError && caught.status === 401)) failure.value = caught;
  }
}

function Page() {
  const who = me.value;
  const isOutside = who === null || isInvited.value;
  useEffect(() => {
    if (!isOutside) return;
    forgetLoaded();
    void later(() => import("./pages/sign_in/page")).then((module) => (WayIn.value = module.WayIn));
  }, [isOutside]);
  if (failure.value !== undefined && !isOutside) return <Failure failure={failure.value} again={() => void start()} />;
  if (isOutside) return WayIn.value && <WayIn.value />;
  return who && <Frame />;
}

show();
render(<Page />, document.getElementById("page") as HTMLElement);
void start();
