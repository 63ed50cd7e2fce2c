/** The passkeys of somebody. */
import { call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { Form, TextField } from "../../parts/form";
import { arePasskeysKnown, makePasskey } from "../../parts/passkeys";
import { Shown } from "../../parts/status";
import { Time } from "../../parts/time";
import { tell, tellFailure } from "../../parts/toast";
import { text } from "../../text/en/me";

export function Passkeys({ areAvailable }: { areAvailable: boolean }) {
  const loaded = useLoaded("passkeys", async (signal) => (await call("GET /me/passkeys", {}, { signal })).passkeys);

  async function remove(id: string) {
    await call("POST /me/passkeys/{passkey_id}/remove", { passkey_id: id });
    tell(text.passkeyRemoved);
    await loaded.reload();
  }

  return (
    <section class="card stack">
      <h2>{text.passkeys}</h2>
      <p class="quiet">{areAvailable && arePasskeysKnown ? text.passkeysMore : text.passkeysNotHere}</p>
      <Shown loaded={loaded}>
        {(passkeys) =>
          passkeys.length === 0 ? (
            <p class="quiet">{text.passkeysNone}</p>
          ) : (
            <ul class="timeline">
              {passkeys.map((passkey) => (
                <li key={passkey.id}>
                  <span>
                    <strong>{passkey.name}</strong>{" "}
                    <span class="small quiet">
                      {text.lastUsed} <Time at={passkey.last_used_at} />
                    </span>
                  </span>
                  <button type="button" class="small danger" onClick={() => void remove(passkey.id).catch(tellFailure)}>
                    {text.remove}
                  </button>
                </li>
              ))}
            </ul>
          )
        }
      </Shown>
      {areAvailable && arePasskeysKnown && (
        <Form
          submit={text.addPasskey}
          run={async (entered) => {
            const { challenge_id, options } = await call("POST /me/passkeys/challenge", {});
            const credential = await makePasskey(options).catch((failure: unknown) => {
              throw failure instanceof DOMException ? new Error(text.passkeyFailed) : failure;
            });
            await call("POST /me/passkeys", {}, { body: { challenge_id, name: entered.text("name"), credential } });
            tell(text.passkeyAdded);
            await loaded.reload();
          }}
        >
          <TextField name="name" label={text.passkeyName} maxLength={100} required />
        </Form>
      )}
    </section>
  );
}
