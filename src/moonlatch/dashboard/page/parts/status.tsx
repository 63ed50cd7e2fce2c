/** What stands where data will be: that it comes, that there is none, that it could not be had. */
import type { ComponentChildren } from "preact";
import { ApiError, ConnectionLost } from "../api/errors";
import type { Loaded } from "../api/load";
import { text } from "../text/en/shell";
import { Alert } from "./alert";
import { to } from "../shell/router";

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

export function Failure({ failure, again }: { failure: unknown; again?: () => void }) {
  if (failure instanceof ApiError && failure.status === 404) {
    return (
      <Empty title={text.failure.gone}>
        <p>{text.failure.goneMore}</p>
        <a class="button" href={to("/")}>
          {text.failure.back}
        </a>
      </Empty>
    );
  }
  if (failure instanceof ApiError && failure.status === 403) {
    return (
      <Empty title={text.failure.forbidden}>
        <p>{failure.message}</p>
      </Empty>
    );
  }
  return (
    <Empty title={text.failure.title}>
      {failure instanceof ConnectionLost ? <p>{text.connection.lost}</p> : <Alert failure={failure} />}
      {failure instanceof ApiError && failure.requestId && <p class="small">{text.failure.request(failure.requestId)}</p>}
      {again && (
        <button type="button" onClick={again}>
          {text.failure.again}
        </button>
      )}
    </Empty>
  );
}

/** Shows what was loaded as soon as it is there; what is there stays while it is asked for again. */
export function Shown<T>({ loaded, children }: { loaded: Loaded<T>; children: (data: T) => ComponentChildren }) {
  const data = loaded.data.value;
  if (loaded.error.value !== undefined && (data === undefined || isFinal(loaded.error.value))) {
    return <Failure failure={loaded.error.value} again={() => void loaded.reload()} />;
  }
  if (data === undefined) {
    return (
      <p class="loading" aria-busy="true">
        {text.common.loading} …
      </p>
    );
  }
  return <>{children(data)}</>;
}

/** What is no longer there, or no longer theirs, is not shown any more. */
function isFinal(failure: unknown): boolean {
  return failure instanceof ApiError && (failure.status === 404 || failure.status === 403);
}
