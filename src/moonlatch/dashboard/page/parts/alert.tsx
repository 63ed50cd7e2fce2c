/** What went wrong, in full. */
import { ApiError, ConnectionLost, isConflict, wordsOf } from "../api/errors";
import { text } from "../text/en/shell";

export function Alert({ failure }: { failure: unknown }) {
  const lines: string[] = [];
  if (failure instanceof ApiError) {
    for (const [field, errors] of Object.entries(failure.fields)) lines.push(`${field}: ${errors.join(", ")}`);
  }
  if (isConflict(failure)) {
    return (
      <div class="alert warn" role="alert">
        <strong>{text.conflict.meanwhile}</strong>
        <span>{text.conflict.again}</span>
      </div>
    );
  }
  const words = failure instanceof ConnectionLost ? text.failure.lost : wordsOf(failure);
  return (
    <div class="alert" role="alert">
      <strong>{words.charAt(0).toUpperCase() + words.slice(1)}</strong>
      {lines.map((line) => (
        <span key={line}>{line}</span>
      ))}
    </div>
  );
}
