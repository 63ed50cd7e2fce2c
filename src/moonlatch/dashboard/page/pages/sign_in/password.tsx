/** With a password, and a one-time code where somebody has them; or with a passkey. */
import { useSignal } from "@preact/signals";
import { call } from "../../api/client";
import { ApiError } from "../../api/errors";
import { welcome } from "../../data/arrival";
import { Form, TextField } from "../../parts/form";
import { arePasskeysKnown, usePasskey } from "../../parts/passkeys";
import { tell, tellFailure } from "../../parts/toast";
import { text } from "../../text/en/sign_in";

const SECOND_FACTOR = 2;

/** `name` is whose password it is, where that is known. */
export function PasswordSignIn({ name }: { name?: string }) {
  const isCodeWanted = useSignal(false);
  return (
    <>
      <Form
        submit={text.go}
        run={async (entered) => {
          const body = { sign_in_name: entered.text("sign_in_name"), password: entered.secret("password"), code: entered.text("code") || null };
          await welcome((await call("POST /auth/sign_in", {}, { body })).me);
        }}
        onFailure={(failure) => {
          const isAsked = failure instanceof ApiError && failure.status === 401 && failure.detail.code === SECOND_FACTOR;
          const isNew = isAsked && !isCodeWanted.value;
          if (isAsked) isCodeWanted.value = true;
          return isNew;
        }}
      >
        <TextField name="sign_in_name" label={text.name} autoComplete="username webauthn" autoCapitalize="none" maxLength={254} required {...(name === undefined ? { autoFocus: true } : { value: name, readOnly: true })} />
        <TextField name="password" label={text.password} type="password" autoComplete="current-password" maxLength={256} required />
        {isCodeWanted.value && <TextField name="code" label={text.code} hint={text.codeHint} autoComplete="one-time-code" maxLength={40} autoFocus />}
      </Form>
      {arePasskeysKnown && (
        <button type="button" onClick={() => void byPasskey()}>
          {text.passkey}
        </button>
      )}
    </>
  );
}

async function byPasskey(): Promise<void> {
  try {
    const { challenge_id, options } = await call("POST /auth/passkey/challenge", {});
    const credential = await usePasskey(options);
    await welcome((await call("POST /auth/passkey", {}, { body: { challenge_id, credential } })).me);
  } catch (failure) {
    if (failure instanceof DOMException) tell(text.passkeyFailed, true);
    else tellFailure(failure);
  }
}
