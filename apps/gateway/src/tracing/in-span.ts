/** What a span says besides its name. Never a token, a password, or the name of a person. */
type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** The span that work runs in. */
export interface Span {
  set(attributes: SpanAttributes): void;
  /** It did not do what it was to do. @param type a word of a closed set: a message may quote what it met */
  fail(type: string): void;
}

type SpanKind = 'server' | 'client' | 'internal';

export interface SpanOptions {
  /** Default: internal. */
  readonly kind?: SpanKind;
  /** Headers of the request that brought it: the trace of its caller goes on (https://www.w3.org/TR/trace-context/). */
  readonly headers?: Readonly<Record<string, unknown>>;
}

/** Makes spans, and sends them somewhere. */
export interface Tracer {
  inSpan<Result>(name: string, options: SpanOptions, work: (span: Span) => Promise<Result>): Promise<Result>;
  /** Sends what waits. Never rejects, and takes some seconds at most. */
  close(): Promise<void>;
}

const nothing: Span = { set: () => {}, fail: () => {} };

// Of the process, as the context of a trace is: each layer would have to hand it on to the next otherwise.
let tracer: Tracer | undefined;

/** @param next undefined: no spans are made */
export function useTracer(next: Tracer | undefined): void {
  tracer = next;
}

/** Has work done in a span beneath the one that is running. Costs a call while there is no tracer. */
export function inSpan<Result>(
  name: string,
  options: SpanOptions,
  work: (span: Span) => Promise<Result>,
): Promise<Result> {
  return tracer === undefined ? work(nothing) : tracer.inSpan(name, options, work);
}
