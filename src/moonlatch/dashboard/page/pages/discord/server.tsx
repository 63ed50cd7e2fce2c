/** The server of a project: which it is, the role of customers, what its roles are here, and the words of the panel. */
import { useSignal } from "@preact/signals";
import { ask, type BodyOf, call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { may } from "../../api/session";
import type { DiscordLinkView, DiscordRoleView } from "../../api/types";
import { Confirm } from "../../parts/confirm";
import { Choice, type Entered, TextArea, TextField } from "../../parts/form";
import { SaveForm } from "../../parts/save";
import { Shown } from "../../parts/status";
import { tell } from "../../parts/toast";
import { text } from "../../text/en/discord";

type Edit = BodyOf<"POST /projects/{project_id}/discord">;

export function Server({ project }: { project: string }) {
  const loaded = useLoaded(`discord of ${project}`, (signal) => ask("GET /projects/{project_id}/discord", { project_id: project }, { signal }));
  return (
    <section class="card stack">
      <header>
        <h2>{text.link}</h2>
        <span class="small quiet">{text.linkMore}</span>
      </header>
      <Shown loaded={loaded}>
        {({ reply: { link }, etag }) => (
          <>
            {link?.problem != null && <p class="alert warn">{link.problem}</p>}
            {link?.members_problem != null && <p class="alert warn">{link.members_problem}</p>}
            <Fields key={link?.guild_id ?? ""} project={project} link={link} etag={etag} reload={loaded.reload} />
            {link !== null && may("discord:write") && <Unlink project={project} reload={loaded.reload} />}
          </>
        )}
      </Shown>
    </section>
  );
}

function Fields({ project, link, etag, reload }: { project: string; link: DiscordLinkView | null; etag: string | null; reload: () => Promise<void> }) {
  const servers = useLoaded("discord servers", async (signal) => (await call("GET /account/discord/servers", {}, { signal })).servers);
  const roles = useLoaded(`discord roles ${link?.guild_id}`, async (signal) =>
    link === null ? [] : (await call("GET /account/discord/servers/{guild_id}/roles", { guild_id: link.guild_id }, { signal })).roles,
  );
  return (
    <Shown loaded={servers}>
      {(found) => (
        <Shown loaded={roles}>
          {(known) => (
            <SaveForm
              etag={etag}
              reload={reload}
              run={async (entered, version) => {
                await call("POST /projects/{project_id}/discord", { project_id: project }, { body: edited(entered, link, known), etag: link === null ? null : version });
              }}
            >
              <fieldset class="fields" disabled={!may("discord:write")}>
                <Choice name="guild_id" label={text.server} hint={text.serverHint} options={serversOf(found, link)} defaultValue={link?.guild_id ?? ""} />
                {link === null ? (
                  <p class="small quiet">{text.saveFirst}</p>
                ) : (
                  <>
                    <Choice
                      name="customer_role_id"
                      label={text.customerRole}
                      hint={text.customerRoleHint}
                      options={[["", text.noRole], ...known.filter((role) => !role.managed).map((role): [string, string] => [role.id, role.name])]}
                      defaultValue={link.customer_role_id ?? ""}
                    />
                    <h3>{text.roles}</h3>
                    <p class="small quiet">{text.rolesHint}</p>
                    <div class="fields two">
                      {known.map((role) => (
                        <Choice key={role.id} name={`roles.${role.id}`} label={role.name} options={[["", text.nothing], ...Object.entries(text.ours)]} defaultValue={link.roles[role.id] ?? ""} />
                      ))}
                    </div>
                    <h3>{text.channels}</h3>
                    <p class="small quiet">{text.channelsHint}</p>
                    <fieldset class="fields two" disabled={!may("keys:write")}>
                      {known.map((role) => (
                        <TextField key={role.id} name={`channels.${role.id}`} label={text.channelOf(role.name)} defaultValue={link.channels[role.id] ?? ""} maxLength={32} />
                      ))}
                    </fieldset>
                    <TextField name="panel_title" label={text.panelTitle} hint={text.panelHint} defaultValue={link.panel_title ?? ""} maxLength={200} />
                    <TextArea name="panel_text" label={text.panelText} defaultValue={link.panel_text ?? ""} maxLength={2000} />
                  </>
                )}
              </fieldset>
            </SaveForm>
          )}
        </Shown>
      )}
    </Shown>
  );
}

/** Servers to choose from; the one it is linked to is among them even when the bot is not there any more. */
function serversOf(found: { id: string; name: string }[], link: DiscordLinkView | null): [string, string][] {
  const options = found.map((server): [string, string] => [server.id, server.name]);
  if (link === null) return [["", text.choose], ...options];
  return options.some(([id]) => id === link.guild_id) ? options : [[link.guild_id, link.guild_id], ...options];
}

function edited(entered: Entered, link: DiscordLinkView | null, known: DiscordRoleView[]): Edit {
  const guild_id = entered.text("guild_id") || null;
  // Ids of one server's roles mean nothing on another.
  if (link === null || guild_id !== link.guild_id) return { guild_id };
  const mapped = known.map((role): [string, string] => [role.id, entered.text(`roles.${role.id}`)]).filter(([, ours]) => ours !== "");
  const channels = known.map((role): [string, string] => [role.id, entered.text(`channels.${role.id}`)]).filter(([, channel]) => channel !== "");
  return {
    ...(may("keys:write") && { channels: Object.fromEntries(channels) as NonNullable<Edit["channels"]> }),
    customer_role_id: entered.text("customer_role_id"),
    roles: Object.fromEntries(mapped) as NonNullable<Edit["roles"]>,
    panel_title: entered.text("panel_title"),
    panel_text: entered.text("panel_text"),
  };
}

function Unlink({ project, reload }: { project: string; reload: () => Promise<void> }) {
  const isAsking = useSignal(false);
  return (
    <div class="row between">
      <p class="small quiet grow">{text.unlinkMore}</p>
      <button type="button" class="danger" onClick={() => (isAsking.value = true)}>
        {text.unlink}
      </button>
      {isAsking.value && (
        <Confirm
          title={text.unlink}
          submit={text.unlink}
          onClose={() => (isAsking.value = false)}
          run={async () => {
            await call("POST /projects/{project_id}/discord/remove", { project_id: project });
            tell(text.unlinked);
            isAsking.value = false;
            await reload();
          }}
        >
          <p>{text.unlinkMore}</p>
        </Confirm>
      )}
    </div>
  );
}
