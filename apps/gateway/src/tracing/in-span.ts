/** The span that work runs in. */
export interface Span {
  /** Says more than its name: never a token, a password, or the name of a person. */
  set(attributes: Readonly<Record<string, string | number | boolean | undefined>>): void;
  /** Marks the span as failed. @param type a word of a closed set: a message may quote what it met */
  fail(type: string): void;
}

export interface SpanOptions {
  /** Default: internal. */
  readonly kind?: 'server' | 'client' | 'internal';
  /** Headers of the request, by which the span joins the trace of the caller (https://www.w3.org/TR/trace-context/). */
  readonly headers?: Readonly<Record<string, unknown>>;
}

/** Makes spans, and exports them. */
export interface Tracer {
  inSpan<Result>(name: string, options: SpanOptions, work: (span: Span) => Promise<Result>): Promise<Result>;
  /** Sends what waits. Never rejects, and takes some seconds at most. */
  close(): Promise<void>;
}

const nothing: Span = { set: () => {}, fail: () => {} };

// One for the process, as the context of a trace is: otherwise each layer would have to pass it on to the next.
let tracer: Tracer | undefined;

/** @param next undefined: no spans are made */
export function useTracer(next: Tracer | undefined): void {
  tracer = next;
}

/** Whether there is a tracer: without one, an answer that is there already needs no promise. */
export function isTracing(): boolean {
  return tracer !== undefined;
}

/** Does work in a span that is a child of the running one. Costs one call while there is no tracer. */
export function inSpan<Result>(
  name: string,
  options: SpanOptions,
  work: (span: Span) => Promise<Result>,
): Promise<Result> {
  return tracer === undefined ? work(nothing) : tracer.inSpan(name, options, work);
}
