/** With an API token, as programs have them. */
import { ApiError } from "../../api/errors";
import { keepToken, signedOut } from "../../api/session";
import { arrive } from "../../data/arrival";
import { Form, TextField } from "../../parts/form";
import { text } from "../../text/en/sign_in";

export function TokenSignIn() {
  return (
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
      <TextField name="token" label={text.token} hint={text.tokenHint} type="password" autoComplete="off" maxLength={200} required autoFocus />
    </Form>
  );
}
