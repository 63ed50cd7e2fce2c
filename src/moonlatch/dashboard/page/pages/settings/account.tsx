/** The account: what its tier allows, how much of it is used, and whether the server is well. */
import { call } from "../../api/client";
import { API } from "../../api/connection";
import { ApiError } from "../../api/errors";
import { useLoaded } from "../../api/load";
import { may } from "../../api/session";
import type { AccountView } from "../../api/types";
import { Form, TextField } from "../../parts/form";
import { Icon } from "../../parts/icons";
import { Shown } from "../../parts/status";
import { bytesOf, numberOf, Time } from "../../parts/time";
import { tell, tellFailure } from "../../parts/toast";
import { text } from "../../text/en/settings";
import { text as shell } from "../../text/en/shell";

export default function Account() {
  const loaded = useLoaded("account", async (signal) => (await call("GET /account", {}, { signal })).account);
  return (
    <div class="stack">
      <h1>{text.accountTitle}</h1>
      <Shown loaded={loaded}>
        {(account) => (
          <div class="cards wide">
            <section class="card stack">
              <h2>{text.account}</h2>
              <dl class="facts">
                <dt>{shell.common.name}</dt>
                <dd>{account.name}</dd>
                <dt>{text.tier}</dt>
                <dd>{account.tier}</dd>
                <dt>{text.expires}</dt>
                <dd>
                  <Time at={account.expires_at} />
                </dd>
                <dt>{text.ffa}</dt>
                <dd>{account.free_for_all ? text.allowed : text.notAllowed}</dd>
                <dt>{text.scriptBytes}</dt>
                <dd class="number">{bytesOf(account.script_bytes)}</dd>
                <dt>{text.id}</dt>
                <dd>
                  <code>{account.id}</code>
                </dd>
              </dl>
            </section>
            <section class="card stack">
              <h2>{text.usage}</h2>
              <Meter label={text.obfuscations} {...account.obfuscations} />
              <Meter label={text.projects} {...account.projects} />
              <Meter label={text.scripts} {...account.scripts} />
              <Meter label={text.users} {...account.users} />
              <p class="small quiet">
                {text.periodEnds} <Time at={account.obfuscations.period_end} />
              </p>
            </section>
            <Health />
            <Luraph account={account} reload={loaded.reload} />
            <section class="card stack">
              <h2>{text.api}</h2>
              <p class="quiet">{text.apiMore}</p>
              <div>
                <a class="button" href={new URL("docs", API).href}>
                  <Icon name="book" />
                  {text.apiLink}
                </a>
              </div>
            </section>
          </div>
        )}
      </Shown>
    </div>
  );
}

function Meter({ label, used, limit }: { label: string; used: number; limit: number | null }) {
  return (
    <div class={limit !== null && used >= limit ? "meter full" : "meter"}>
      <div>
        <span>{label}</span>
        <span class="number quiet">{limit === null ? `${numberOf(used)}, ${shell.common.unlimited}` : shell.common.of(numberOf(used), numberOf(limit))}</span>
      </div>
      {limit !== null && <progress value={used} max={Math.max(1, limit)} aria-label={label} />}
    </div>
  );
}

function Health() {
  const loaded = useLoaded("health", async (signal) => {
    try {
      await call("GET /health/ready", {}, { signal });
      return [];
    } catch (failure) {
      if (failure instanceof ApiError && failure.detail.reasons) return failure.detail.reasons;
      throw failure;
    }
  });
  return (
    <section class="card stack">
      <h2>{text.health}</h2>
      <Shown loaded={loaded}>{(reasons) => (reasons.length === 0 ? <span class="badge good fit">{text.healthy}</span> : <span class="badge bad fit">{`${text.unhealthy}: ${reasons.join(", ")}`}</span>)}</Shown>
    </section>
  );
}

function Luraph({ account, reload }: { account: AccountView; reload: () => Promise<void> }) {
  if (!may("account:write")) return null;
  async function set(key: string | null) {
    await call("POST /account/luraph", {}, { body: { api_key: key } });
    tell(shell.common.saved);
    await reload();
  }
  return (
    <section class="card stack">
      <h2>{text.luraph}</h2>
      <p class="quiet">{account.luraph_key_set ? text.luraphSet : text.luraphUnset}</p>
      <Form submit={text.luraphSave} run={(entered) => set(entered.text("api_key"))}>
        <TextField name="api_key" label={text.luraphKey} type="password" autoComplete="off" maxLength={255} />
      </Form>
      {account.luraph_key_set && (
        <div class="row end">
          <button type="button" class="danger small" onClick={() => void set(null).catch(tellFailure)}>
            {text.luraphForget}
          </button>
        </div>
      )}
    </section>
  );
}
