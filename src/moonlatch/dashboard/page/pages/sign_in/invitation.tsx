/** A one-time link: an invitation, or the way back for whoever lost their password. */
import { call } from "../../api/client";
import { ApiError } from "../../api/errors";
import { useLoaded } from "../../api/load";
import { signedOut } from "../../api/session";
import { welcome } from "../../data/arrival";
import { Form, TextField } from "../../parts/form";
import { Empty, Shown } from "../../parts/status";
import { tell } from "../../parts/toast";
import { replace, to } from "../../shell/router";
import { text } from "../../text/en/sign_in";

const words = text.invite;

export function Invitation({ secret }: { secret: string }) {
  const loaded = useLoaded(`invitation ${secret}`, async (signal) => {
    try {
      return (await call("POST /auth/link", {}, { body: { secret }, signal })).link;
    } catch (failure) {
      if (failure instanceof ApiError && failure.status === 404) return null;
      throw failure;
    }
  });
  return (
    <section class="card stack">
      <Shown loaded={loaded}>
        {(link) => {
          if (link === null) return <Gone />;
          const isNew = link.kind === "invitation";
          return (
            <>
              <h1>{isNew ? words.welcome : words.renew}</h1>
              {isNew && <p class="quiet">{words.asRole(link.role, link.account_name)}</p>}
              <Form
                submit={words.go}
                run={async (entered) => {
                  const body = { secret, password: entered.secret("password"), name: isNew ? entered.text("name") || null : null };
                  const accepted = await call("POST /auth/accept", {}, { body });
                  // Whoever was signed in here before is not any more.
                  signedOut();
                  if (accepted.me) await welcome(accepted.me);
                  else tell(words.again);
                  replace(to("/"));
                }}
              >
                <TextField name="sign_in_name" label={words.as} value={link.sign_in_name} readOnly autoComplete="username" />
                {isNew && <TextField name="name" label={words.yourName} defaultValue={link.name} maxLength={100} autoComplete="name" />}
                <TextField name="password" label={words.password} hint={words.passwordHint} type="password" autoComplete="new-password" maxLength={256} required autoFocus />
              </Form>
            </>
          );
        }}
      </Shown>
    </section>
  );
}

function Gone() {
  return (
    <Empty title={words.gone}>
      <p>{words.goneMore}</p>
      <a class="button" href={to("/")}>
        {words.toSignIn}
      </a>
    </Empty>
  );
}
