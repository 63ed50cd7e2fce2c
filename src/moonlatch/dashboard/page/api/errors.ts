/** What the API refused, in its own words, and what a form needs of it. */
import type { ErrorDetail } from "./types";

export class ApiError extends Error {
  readonly status: number;
  readonly detail: ErrorDetail;
  readonly requestId: string | null;

  constructor(status: number, detail: ErrorDetail, requestId: string | null) {
    super(detail.message);
    this.status = status;
    this.detail = detail;
    this.requestId = requestId;
  }

  /** Messages by the field they belong to. */
  get fields(): Record<string, string[]> {
    const found: Record<string, string[]> = {};
    for (const each of this.detail.failed ?? []) {
      if (typeof each !== "string") found[each.field] = each.errors;
    }
    return found;
  }
}

/** Somebody else has changed it since it was read. */
export function isConflict(failure: unknown): failure is ApiError {
  return failure instanceof ApiError && failure.status === 412;
}

/** Carry a change out; where another was quicker, read anew what the page shows before the conflict is told. */
export async function readAnewOnConflict(reload: () => Promise<void>, change: () => Promise<unknown>): Promise<void> {
  try {
    await change();
  } catch (failure) {
    if (isConflict(failure)) await reload();
    throw failure;
  }
}

/** Nothing was heard of the server: nobody knows whether it did what it was asked to. */
export class ConnectionLost extends Error {}

/** What to tell a person of any failure. */
export function wordsOf(failure: unknown): string {
  if (failure instanceof Error && failure.message) return failure.message;
  return String(failure);
}
