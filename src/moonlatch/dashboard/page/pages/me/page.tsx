/** How somebody signs in, and where they are signed in. */
import { useComputed } from "@preact/signals";
import { call } from "../../api/client";
import { me } from "../../api/session";
import type { MeView } from "../../api/types";
import { arrive } from "../../data/arrival";
import { Form, TextField } from "../../parts/form";
import { Empty } from "../../parts/status";
import { now, span } from "../../parts/time";
import { tell } from "../../parts/toast";
import { text } from "../../text/en/me";
import { text as shell } from "../../text/en/shell";
import { PasswordSignIn } from "../sign_in/password";
import { OneTimeCodes } from "./one_time_codes";
import { Passkeys } from "./passkeys";
import { Password } from "./password";
import { Sessions } from "./sessions";

export default function Me() {
  const who = me.value;
  const left = useComputed(() => (me.value?.confirmed_until ?? 0) - now.value);
  if (!who) return null;
  return (
    <div class="stack">
      <h1>{text.title}</h1>
      {who.kind !== "member" ? (
        <section class="card">
          <Empty title={who.name}>
            <p>{text.byToken}</p>
          </Empty>
        </section>
      ) : (
        <>
          <div class="cards wide">
            <Name who={who} />
            <Sessions />
          </div>
          {left.value <= 0 ? (
            <section class="card stack narrow">
              <h2>{text.confirm}</h2>
              <p class="quiet">{text.confirmMore}</p>
              <PasswordSignIn name={who.sign_in_name ?? ""} />
            </section>
          ) : (
            <>
              <p class="small quiet">{text.confirmedFor(span(left.value))}</p>
              <div class="cards wide">
                <Password />
                <OneTimeCodes isOn={who.totp_enabled === true} />
                <Passkeys areAvailable={who.passkeys_available} />
              </div>
            </>
          )}
        </>
      )}
    </div>
  );
}

function Name({ who }: { who: MeView }) {
  return (
    <section class="card stack">
      <h2>{text.who}</h2>
      <Form
        submit={shell.common.save}
        run={async (entered) => {
          await call("POST /me/edit", {}, { body: { name: entered.text("name") } });
          await arrive();
          tell(shell.common.saved);
        }}
      >
        <TextField name="name" label={text.name} defaultValue={who.name} maxLength={100} required />
      </Form>
      <dl class="facts">
        <dt>{text.signInName}</dt>
        <dd>{who.sign_in_name}</dd>
        <dt>{text.role}</dt>
        <dd>{who.role}</dd>
      </dl>
    </section>
  );
}
