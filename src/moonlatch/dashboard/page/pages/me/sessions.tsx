/** The browsers that somebody is signed in with. */
import { call } from "../../api/client";
import { useLoaded } from "../../api/load";
import { signedOut } from "../../api/session";
import { Shown } from "../../parts/status";
import { Time } from "../../parts/time";
import { tell, tellFailure } from "../../parts/toast";
import { text } from "../../text/en/me";

export function Sessions() {
  const loaded = useLoaded("my sessions", async (signal) => (await call("GET /me/sessions", {}, { signal })).sessions);

  async function endAll() {
    await call("POST /me/sessions/revoke", {});
    signedOut();
  }

  async function end(id: string) {
    await call("POST /me/sessions/{session_id}/revoke", { session_id: id });
    tell(text.signedOut);
    await loaded.reload();
  }

  return (
    <section class="card stack">
      <h2>{text.sessions}</h2>
      <Shown loaded={loaded}>
        {(sessions) => (
          <>
            <ul class="timeline">
              {sessions.map((session) => (
                <li key={session.id}>
                  <span class="wrap">
                    {session.user_agent}
                    <br />
                    <span class="small quiet">
                      {session.address}, {text.lastUsed} <Time at={session.last_used_at} />
                    </span>
                  </span>
                  {session.current ? (
                    <span class="badge good fit">{text.sessionHere}</span>
                  ) : (
                    <button type="button" class="small danger" onClick={() => void end(session.id).catch(tellFailure)}>
                      {text.signOut}
                    </button>
                  )}
                </li>
              ))}
            </ul>
            <button type="button" class="danger" onClick={() => void endAll().catch(tellFailure)}>
              {text.everywhere}
            </button>
          </>
        )}
      </Shown>
    </section>
  );
}
