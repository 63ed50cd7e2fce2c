/** The account: what its tier allows, how much of it is used, and whether the server is well. */
import { Fragment } from "preact";
import { call } from "../../api/client";
import { API } from "../../api/connection";
import { type Loaded, useLoaded } from "../../api/load";
import { may } from "../../api/session";
import type { AccountView, ServerView, TierView } from "../../api/types";
import { addressOf, useServer } from "../../data/server";
import { Form, TextField } from "../../parts/form";
import { Icon } from "../../parts/icons";
import { Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { bytesOf, numberOf, Time } from "../../parts/time";
import { tell, tellFailure } from "../../parts/toast";
import { text } from "../../text/en/settings";
import { text as shell } from "../../text/en/shell";

export default function Account() {
  const loaded = useLoaded("account", async (signal) => (await call("GET /account", {}, { signal })).account);
  const server = useServer();
  return (
    <div class="stack">
      <h1>{text.accountTitle}</h1>
      <Shown loaded={loaded}>
        {(account) => (
          <div class="cards wide">
            <div class="stack">
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
              <About server={server} />
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
            <div class="stack">
              <section class="card stack">
                <h2>{text.usage}</h2>
                <Meter label={text.obfuscations} {...account.obfuscations} />
                <Meter label={text.buildMinutes} used={Math.ceil(account.build_seconds.used / 60)} limit={account.build_seconds.limit === null ? null : Math.round(account.build_seconds.limit / 60)} />
                <Meter label={text.projects} {...account.projects} />
                <Meter label={text.scripts} {...account.scripts} />
                <Meter label={text.users} {...account.users} />
                <p class="small quiet">
                  {text.periodEnds} <Time at={account.obfuscations.period_end} />
                </p>
              </section>
              <Luraph account={account} reload={loaded.reload} />
            </div>
            {server.data.value && <Tiers tiers={server.data.value.tiers} own={account.tier} />}
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

function About({ server: loaded }: { server: Loaded<ServerView | null> }) {
  return (
    <section class="card stack">
      <h2>{text.server}</h2>
      <Shown loaded={loaded}>
        {(server) =>
          server && (
            <>
              <dl class="facts">
                <dt>{text.version}</dt>
                <dd>{server.version}</dd>
                <dt>{text.address}</dt>
                <dd>
                  <code>{server.public_url}</code>
                </dd>
                {server.engines.map(({ name, kind, works }) => (
                  <Fragment key={name}>
                    <dt>{text.engineNames[name] ?? name}</dt>
                    <dd>
                      {text.engineKinds[kind] ?? kind} <span class={works ? "badge good" : "badge bad"}>{works ? text.works : text.isAway}</span>
                    </dd>
                  </Fragment>
                ))}
              </dl>
              {server.public_url !== "" && addressOf(server).host !== API.host && <p class="alert warn">{text.elsewhere(API.host)}</p>}
            </>
          )
        }
      </Shown>
    </section>
  );
}

function Tiers({ tiers, own }: { tiers: readonly TierView[]; own: string }) {
  const limit = (value: number | null) => <span class="number">{value === null ? shell.common.unlimited : numberOf(value)}</span>;
  return (
    <section class="card flush span">
      <header>
        <h2>{text.tiers}</h2>
        <p class="small quiet">{text.tiersMore}</p>
      </header>
      <Table
        caption={text.tiers}
        rows={tiers}
        keyOf={(tier) => tier.name}
        columns={[
          {
            label: text.tier,
            isLead: true,
            show: (tier) => (
              <span class="row tight">
                <strong>{tier.name}</strong>
                {tier.name === own && <span class="badge accent">{text.yours}</span>}
              </span>
            ),
          },
          { label: text.projects, isEnd: true, show: (tier) => limit(tier.projects) },
          { label: text.scripts, isEnd: true, show: (tier) => limit(tier.scripts) },
          { label: text.users, isEnd: true, show: (tier) => limit(tier.users) },
          { label: text.buildsPerPeriod, isEnd: true, show: (tier) => limit(tier.obfuscations_per_period) },
          { label: text.buildMinutes, isEnd: true, show: (tier) => limit(tier.build_seconds_per_period === null ? null : Math.round(tier.build_seconds_per_period / 60)) },
          { label: text.kept, isEnd: true, show: (tier) => limit(tier.build_history) },
          { label: text.scriptBytes, isEnd: true, show: (tier) => <span class="number whole">{bytesOf(tier.script_bytes)}</span> },
          { label: text.tierFfa, show: (tier) => (tier.free_for_all ? text.allowed : text.notAllowed) },
        ]}
      />
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
