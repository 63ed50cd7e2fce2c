/** Discord: the account's bot, what it lacks, and which server this project is linked to. */
import { useLoaded } from "../../api/load";
import { call } from "../../api/client";
import { may } from "../../api/session";
import { Shown } from "../../parts/status";
import type { PageProps } from "../../shell/pages";
import { text } from "../../text/en/discord";
import { Bot, ConnectBot } from "./bot";
import { Server } from "./server";

export default function Discord({ project }: PageProps) {
  const loaded = useLoaded("discord", async (signal) => (await call("GET /account/discord", {}, { signal })).discord);
  return (
    <div class="stack">
      <div class="head">
        <div>
          <h1>{text.title}</h1>
          <p>{text.more}</p>
        </div>
      </div>
      <Shown loaded={loaded}>
        {(bot) =>
          bot === null ? (
            <section class="card stack">
              <h2>{text.none}</h2>
              <p class="quiet">{text.noneMore}</p>
              {may("discord:write") && <ConnectBot reload={loaded.reload} />}
            </section>
          ) : (
            <>
              <Bot bot={bot} reload={loaded.reload} />
              <Server project={project} />
            </>
          )
        }
      </Shown>
    </div>
  );
}
