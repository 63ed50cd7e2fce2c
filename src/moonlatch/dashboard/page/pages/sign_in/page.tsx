/** The way in: by password, passkey or token; or by a one-time link. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { isConnected } from "../../api/connection";
import { Copyable } from "../../parts/copy";
import { Toasts } from "../../parts/toast";
import { INVITATION } from "../../shell/pages";
import { match, path } from "../../shell/router";
import { text as shell } from "../../text/en/shell";
import { text } from "../../text/en/sign_in";
import { Invitation } from "./invitation";
import { PasswordSignIn } from "./password";
import { TokenSignIn } from "./token";

export function WayIn() {
  const invitation = match(INVITATION, path.value);
  useEffect(() => {
    document.title = `${text.title} · ${shell.product}`;
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
        {invitation ? <Invitation secret={invitation.secret ?? ""} /> : <SignIn />}
      </div>
      <Toasts />
    </main>
  );
}

function SignIn() {
  const isByToken = useSignal(false);
  return (
    <>
      <section class="card stack">
        <h1>{isByToken.value ? text.withToken : text.title}</h1>
        {isByToken.value ? <TokenSignIn /> : <PasswordSignIn />}
      </section>
      <p>
        <button type="button" class="link" onClick={() => (isByToken.value = !isByToken.value)}>
          {isByToken.value ? text.withPassword : text.withToken}
        </button>
      </p>
      <div class="stack small quiet">
        <p>{text.help}</p>
        <Copyable value={isByToken.value ? "moonlatch tokens create owner --data ./data" : "moonlatch members invite owner YOU@EXAMPLE.COM --role owner"} label={text.help} isWrapped />
      </div>
    </>
  );
}
