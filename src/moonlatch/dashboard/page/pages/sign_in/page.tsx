/** The way in. */
import { useEffect, useRef } from "preact/hooks";
import { isConnected } from "../../api/connection";
import { ApiError } from "../../api/errors";
import { keepToken, signedOut } from "../../api/session";
import { arrive } from "../../data/arrival";
import { Copyable } from "../../parts/copy";
import { Form, TextField } from "../../parts/form";
import { text as shell } from "../../text/en/shell";
import { text } from "../../text/en/sign_in";

export function SignIn() {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${text.title} · ${shell.product}`;
    document.querySelector<HTMLElement>("input[name='token']")?.focus();
  }, []);
  return (
    <main class="alone">
      <div>
        <span class="brand">
          <img src="assets/icon.svg" alt="" />
          {shell.product}
        </span>
        {!isConnected.value && (
          <div class="alert warn" role="status">
            {shell.connection.lost}
          </div>
        )}
        <section class="card stack">
          <h1 ref={heading}>{text.withToken}</h1>
          <Form
            submit={text.go}
            run={async (entered) => {
              keepToken(entered.text("token"));
              try {
                await arrive();
              } catch (failure) {
                signedOut();
                if (failure instanceof ApiError && failure.status === 401) throw new Error(text.refused);
                throw failure;
              }
            }}
          >
            <TextField name="token" label={text.token} hint={text.tokenHint} type="password" autoComplete="off" maxLength={200} required />
          </Form>
        </section>
        <div class="stack small quiet">
          <p>{text.lostToken}</p>
          <Copyable value="moonlatch tokens create owner --data ./data" label={text.lostToken} isWrapped />
        </div>
      </div>
    </main>
  );
}
