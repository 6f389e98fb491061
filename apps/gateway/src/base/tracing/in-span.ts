/** A span that work runs in. */
export interface Span {
  /** Adds attributes, which never have a token, a password, or the name of a person. */
  set(attributes: Readonly<Record<string, string | number | boolean | undefined>>): void;
  /** Marks the span as failed. @param type a word of a closed set, since a message may quote its input */
  fail(type: string): void;
}

export interface SpanOptions {
  /** The kind of the span. Default: internal. */
  readonly kind?: 'server' | 'client' | 'internal';
  /** Headers of the request, by which the span joins the trace of the caller (https://www.w3.org/TR/trace-context/). */
  readonly headers?: Readonly<Record<string, unknown>>;
}

/** Makes spans, and exports them. */
export interface Tracer {
  inSpan<Result>(
    name: string,
    options: SpanOptions,
    work: (span: Span) => Promise<Result>,
  ): Promise<Result>;
  /** Sends the spans that wait. It never rejects, and takes some seconds at most. */
  close(): Promise<void>;
}

const nothing: Span = { set: () => {}, fail: () => {} };

// The process has one tracer, as it has one context of traces: otherwise each layer would have to pass it on to the
// next.
let tracer: Tracer | undefined;

/** Sets the tracer of the process. @param next undefined if no spans are made */
export function useTracer(next: Tracer | undefined): void {
  tracer = next;
}

/** Whether there is a tracer. Without one, an answer that is there already needs no promise. */
export function isTracing(): boolean {
  return tracer !== undefined;
}

/** Does work in a span that is a child of the running one. It costs one call while there is no tracer. */
export function inSpan<Result>(
  name: string,
  options: SpanOptions,
  work: (span: Span) => Promise<Result>,
): Promise<Result> {
  return tracer === undefined ? work(nothing) : tracer.inSpan(name, options, work);
}
