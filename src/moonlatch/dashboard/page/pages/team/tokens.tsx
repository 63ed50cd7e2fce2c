/** The API tokens of the account. */
import { useSignal } from "@preact/signals";
import { call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { may } from "../../api/session";
import type { TokenView } from "../../api/types";
import { Confirm } from "../../parts/confirm";
import { Icon } from "../../parts/icons";
import { Empty, Shown } from "../../parts/status";
import { Table } from "../../parts/table";
import { now, Time } from "../../parts/time";
import { tell } from "../../parts/toast";
import { text } from "../../text/en/team";
import { NewToken } from "./new_token";

type State = keyof typeof text.states;
const BADGES: Record<State, string> = { active: "badge good", expired: "badge warn", revoked: "badge" };

function stateOf(token: TokenView): State {
  if (token.revoked_at !== null) return "revoked";
  return token.expires_at !== null && token.expires_at <= now.value ? "expired" : "active";
}

export function Tokens() {
  const isAsking = useSignal(false);
  const revoking = useSignal<TokenView | null>(null);
  const loaded = useLoaded("tokens", async (signal) => (await call("GET /account/tokens", {}, { signal })).tokens);
  const chosen = revoking.value;
  return (
    <>
      <section class="card flush">
        <header>
          <div>
            <h2>{text.tokens}</h2>
            <p class="small quiet">{text.tokensMore}</p>
          </div>
          {may("tokens:write") && (
            <button type="button" class="primary" onClick={() => (isAsking.value = true)}>
              <Icon name="plus" />
              {text.newToken}
            </button>
          )}
        </header>
        <Shown loaded={loaded}>
          {(tokens) =>
            tokens.length === 0 ? (
              <Empty title={text.none} />
            ) : (
              <Table
                caption={text.tokens}
                rows={tokens}
                keyOf={(token) => token.id}
                columns={[
                  { label: text.columns.name, isLead: true, show: (token) => <strong>{token.name}</strong> },
                  { label: text.columns.state, show: (token) => <span class={BADGES[stateOf(token)]}>{text.states[stateOf(token)]}</span> },
                  { label: text.columns.prefix, show: (token) => token.prefix && <code>{token.prefix}…</code> },
                  { label: text.columns.permissions, show: (token) => <span title={token.permissions?.join(", ")}>{token.permissions === null ? text.everything : text.some(token.permissions.length)}</span> },
                  { label: text.columns.projects, show: (token) => (token.projects === null ? text.all : String(token.projects.length)) },
                  {
                    label: text.columns.used,
                    show: (token) => (
                      <span title={token.last_used_from ?? undefined}>
                        <Time at={token.last_used_at} />
                      </span>
                    ),
                  },
                  { label: text.columns.expires, show: (token) => <Time at={token.expires_at} /> },
                  {
                    label: text.revoke,
                    isAction: true,
                    show: (token) =>
                      stateOf(token) === "active" &&
                      may("tokens:write") && (
                        <button type="button" class="small danger" onClick={() => (revoking.value = token)}>
                          {text.revoke}
                        </button>
                      ),
                  },
                ]}
              />
            )
          }
        </Shown>
      </section>
      {isAsking.value && <NewToken onClose={() => (isAsking.value = false)} onMade={() => void loaded.reload()} />}
      {chosen && (
        <Confirm
          title={text.revokeTitle(chosen.name)}
          submit={text.revoke}
          onClose={() => (revoking.value = null)}
          run={async () => {
            await call("POST /account/tokens/{token_id}/revoke", { token_id: chosen.id });
            tell(text.revoked);
            revoking.value = null;
            await loaded.reload();
          }}
        >
          <p>{text.revokeMore}</p>
        </Confirm>
      )}
    </>
  );
}
