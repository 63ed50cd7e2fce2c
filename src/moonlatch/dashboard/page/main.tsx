/** Starts the page: who is signed in, then what they came for. */
import { signal } from "@preact/signals";
import { type ComponentType, render } from "preact";
import { useEffect } from "preact/hooks";
import { forgetLoaded } from "./api/load";
import { hasToken, me } from "./api/session";
import { arrive } from "./data/arrival";
import { Frame } from "./shell/frame";
import { later } from "./shell/later";
import { show } from "./shell/theme";
import { Failure } from "./parts/status";

const failure = signal<unknown>(undefined);
const SignIn = signal<ComponentType | null>(null);

async function start() {
  failure.value = undefined;
  try {
    if (hasToken()) await arrive();
    else me.value = null;
  } catch (caught) {
    if (me.value === undefined) failure.value = caught;
  }
}

function Page() {
  const who = me.value;
  useEffect(() => {
    if (who !== null) return;
    forgetLoaded();
    void later(() => import("./pages/sign_in/page")).then((module) => (SignIn.value = module.SignIn));
  }, [who]);
  if (failure.value !== undefined) return <Failure failure={failure.value} again={() => void start()} />;
  if (who === undefined) return null;
  if (who !== null) return <Frame />;
  return SignIn.value && <SignIn.value />;
}

show();
render(<Page />, document.getElementById("page") as HTMLElement);
void start();
