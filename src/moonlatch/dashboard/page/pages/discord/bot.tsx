/** The account's bot: connected by its token, looked at, told again, disconnected. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { call } from "../../api/client";
import type { ApplicationView, DiscordFindingView } from "../../api/types";
import { may } from "../../api/session";
import { Confirm } from "../../parts/confirm";
import { Form, TextField, Tick } from "../../parts/form";
import { moment } from "../../parts/time";
import { tell, tellFailure } from "../../parts/toast";
import { text } from "../../text/en/discord";

/** How often it is looked whether Discord was told of the commands: that takes some seconds. */
const LOOK_MS = 3000;

interface Reloading {
  reload: () => Promise<void>;
}

export function ConnectBot({ reload, submit = text.connect }: Reloading & { submit?: string }) {
  return (
    <Form
      submit={submit}
      run={async (entered) => {
        await call("POST /account/discord", {}, { body: { bot_token: entered.secret("bot_token").trim(), replace_url: entered.flag("replace_url") } });
        tell(text.connected);
        await reload();
      }}
    >
      <TextField name="bot_token" type="password" label={text.botToken} hint={text.botTokenHint} maxLength={200} required />
      <Tick name="replace_url" label={text.replaceUrl} />
    </Form>
  );
}

export function Bot({ bot, reload }: Reloading & { bot: ApplicationView }) {
  const isRegistering = !bot.registered && bot.problem === null;
  useEffect(() => {
    if (!isRegistering) return;
    const looking = setInterval(() => void reload(), LOOK_MS);
    return () => clearInterval(looking);
  }, [isRegistering]);
  const isRenewing = useSignal(false);
  const isRemoving = useSignal(false);
  async function register() {
    await call("POST /account/discord/register", {}, { body: { replace_url: false } });
    tell(text.registered);
    await reload();
  }
  return (
    <section class="card stack">
      <header>
        <h2>{bot.name}</h2>
        <span class="small quiet">{text.applicationMore}</span>
      </header>
      {bot.problem !== null && <p class="alert">{bot.problem}</p>}
      <p class="small">
        {text.id}: <code>{bot.application_id}</code>. {bot.registered ? text.isRegistered : text.isRegistering} {bot.heard_at === null ? text.notHeard : text.heard(moment(bot.heard_at))}
      </p>
      <p>
        <a href={bot.invite_url} target="_blank" rel="noreferrer">
          {text.invite}
        </a>
      </p>
      <Check />
      {may("discord:write") && (
        <div class="row">
          <button type="button" onClick={() => void register().catch(tellFailure)}>
            {text.register}
          </button>
          <button type="button" onClick={() => (isRenewing.value = !isRenewing.value)}>
            {text.reconnect}
          </button>
          <button type="button" class="danger" onClick={() => (isRemoving.value = true)}>
            {text.disconnect}
          </button>
        </div>
      )}
      {isRenewing.value && <ConnectBot reload={reload} submit={text.reconnect} />}
      {isRemoving.value && (
        <Confirm
          title={text.disconnect}
          name={bot.name}
          submit={text.disconnect}
          onClose={() => (isRemoving.value = false)}
          run={async () => {
            await call("POST /account/discord/remove", {});
            tell(text.disconnected);
            isRemoving.value = false;
            await reload();
          }}
        >
          <p>{text.disconnectMore}</p>
        </Confirm>
      )}
    </section>
  );
}

function Check() {
  const findings = useSignal<DiscordFindingView[] | undefined>(undefined);
  async function look() {
    findings.value = (await call("GET /account/discord/check", {})).findings;
  }
  return (
    <>
      <div class="row between">
        <p class="small quiet grow">{text.checkMore}</p>
        <button type="button" onClick={() => void look().catch(tellFailure)}>
          {text.check}
        </button>
      </div>
      <div role="status" class="stack">
        {findings.value?.every((each) => each.good) && <p class="alert good">{text.allGood}</p>}
        {findings.value
          ?.filter((each) => !each.good)
          .map((each) => (
            <p key={each.what} class="alert warn">
              <strong>{text.missing(each.what)}</strong>
              <span>{each.to_do}</span>
            </p>
          ))}
      </div>
    </>
  );
}
