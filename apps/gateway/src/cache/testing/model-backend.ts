import { type Authenticator, AuthenticatorError, type Decision } from '@sallyport/authenticator';

/** A positive answer of the backend. Times are true ones, milliseconds. */
export interface GivenAnswer {
  readonly token: string;
  readonly username: string;
  readonly groups: readonly string[];
  readonly expiresAt?: number;
  /** When it was asked, and when its answer arrived. */
  readonly began: number;
  at: number;
}

type BackendState =
  | {
      readonly kind: 'authenticated';
      readonly username: string;
      readonly groups: readonly string[];
      readonly lifetime?: number;
    }
  | { readonly kind: 'rejected' }
  | { readonly kind: 'no-opinion' };

/** The backend behind the cache of every replica. It remembers all its answers. */
export interface ModelBackend {
  readonly given: readonly GivenAnswer[];
  isDown: boolean;
  set(token: string, state: BackendState): void;
  stateOf(token: string): BackendState | undefined;
  /** From now on answers are made at once and held back, until `land`. */
  isSlow: boolean;
  land(): Promise<void>;
  readonly authenticator: Authenticator;
}

/** @param now true time, milliseconds since 1970 */
export function createModelBackend(now: () => number): ModelBackend {
  const states = new Map<string, BackendState>();
  const given: GivenAnswer[] = [];
  let held: (() => void)[] = [];

  function answer(token: string, began: number): Decision {
    const state = states.get(token) ?? { kind: 'no-opinion' };
    if (state.kind === 'rejected') return { kind: 'rejected', reason: 'revoked' };
    if (state.kind === 'no-opinion') return state;
    const { username, groups, lifetime } = state;
    const end = lifetime === undefined ? {} : { expiresAt: began + lifetime };
    given.push({ token, username, groups, ...end, began, at: Number.POSITIVE_INFINITY });
    const expiresAt = lifetime === undefined ? {} : { expiresAt: new Date(began + lifetime) };
    return { kind: 'authenticated', user: { username, groups }, ...expiresAt };
  }

  const backend: ModelBackend = {
    given,
    isDown: false,
    isSlow: false,
    set: (token, state) => states.set(token, state),
    stateOf: (token) => states.get(token),
    async land() {
      for (const release of held) release();
      held = [];
      // What waited for it goes on.
      await new Promise(setImmediate);
    },
    authenticator: {
      async authenticate(token) {
        if (backend.isDown) throw new AuthenticatorError('unavailable', 'down');
        const began = now();
        const before = given.length;
        const decision = answer(token, began);
        if (backend.isSlow) await new Promise<void>((resolve) => held.push(resolve));
        const own = decision.kind === 'authenticated' ? given[before] : undefined;
        if (own !== undefined) own.at = now();
        return decision;
      },
      close: async () => {},
    },
  };
  return backend;
}
