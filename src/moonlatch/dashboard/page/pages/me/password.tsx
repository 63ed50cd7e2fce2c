/** A new password. */
import { useSignal } from "@preact/signals";
import { call } from "../../api/client";
import { arrive } from "../../data/arrival";
import { Form, TextField } from "../../parts/form";
import { tell } from "../../parts/toast";
import { text } from "../../text/en/me";

export function Password() {
  const times = useSignal(0);
  return (
    <section class="card stack">
      <h2>{text.password}</h2>
      <Form
        key={times.value}
        submit={text.setPassword}
        run={async (entered) => {
          await call("POST /me/password", {}, { body: { password: entered.secret("password") } });
          await arrive();
          times.value += 1;
          tell(text.passwordSet);
        }}
      >
        <TextField name="password" label={text.newPassword} hint={text.passwordHint} type="password" autoComplete="new-password" maxLength={256} />
      </Form>
    </section>
  );
}
