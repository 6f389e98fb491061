/** One of the things that readiness depends on. */
export interface HealthCheck {
  readonly name: string;
  readonly ok: boolean;
  /** For the log: the answer withholds it, since anybody may ask. */
  readonly reason?: string;
}

/**
 * The answer of a health endpoint, word for word as Kubernetes gives it (kubernetes/apiserver
 * pkg/server/healthz/healthz.go): `ok`, or every check with `?verbose`, or every check when one failed that is not named
 * by `?exclude=`, which may be given more than once.
 *
 * @param name `livez` or `readyz`
 * @param notes told with `?verbose` and without a say: one that failed is marked `[!]`, where Kubernetes has no mark
 */
export function healthAnswer(
  name: string,
  checks: readonly HealthCheck[],
  query: URLSearchParams,
  notes: readonly HealthCheck[] = [],
): { readonly ok: boolean; readonly body: string } {
  const excluded = new Set(query.getAll('exclude'));
  let ok = true;
  const lines = [{ name: 'ping', ok: true }, ...checks].map((check) => {
    if (excluded.delete(check.name)) return `[+]${check.name} excluded: ok`;
    if (check.ok) return `[+]${check.name} ok`;
    ok = false;
    return `[-]${check.name} failed: reason withheld`;
  });
  if (excluded.size > 0) {
    const names = [...excluded].map((each) => JSON.stringify(each)).join(',');
    lines.push(`warn: some health checks cannot be excluded: no matches for ${names}`);
  }
  if (ok && !query.has('verbose')) return { ok, body: 'ok' };
  for (const note of notes) {
    lines.push(note.ok ? `[+]${note.name} ok` : `[!]${note.name} failed: reason withheld, does not decide`);
  }
  return { ok, body: `${[...lines, `${name} check ${ok ? 'passed' : 'failed'}`].join('\n')}\n` };
}
