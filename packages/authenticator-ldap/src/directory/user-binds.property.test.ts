import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { connectLdap } from '../connection/connection.ts';
import type { FakePeer, FakeRequest } from '../connection/testing/fake-peer.ts';
import { startFakeServer } from '../connection/testing/fake-server.ts';
import {
  bindResponse,
  disconnectionNotice,
  passwordPolicyControl,
  type ResultFields,
} from '../connection/testing/ldap-answers.ts';
import type { BindResult } from '../connection/types.ts';
import { directoryOf, directoryOptions, outcomeOf } from './testing/set-up.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** What a server answers to each kind of user, on any connection. */
const answers = {
  good: {},
  wrong: { code: 49 },
  expired: { code: 49, controls: [passwordPolicyControl({ error: 0 })] },
  locked: { code: 19, controls: [passwordPolicyControl({ error: 1 })] },
  disabled: { code: 53 },
} satisfies Record<string, Omit<ResultFields, 'id'>>;

const faults = [
  'none',
  'none',
  'none',
  'end',
  'notice',
  'repeat',
  'cut',
  'reset',
  'late',
  'abort',
] as const;

type Fault = (typeof faults)[number];

interface Login {
  readonly user: keyof typeof answers;
  readonly fault: Fault;
}

const login = fc.record<Login>({
  user: fc.constantFrom('good', 'wrong', 'expired', 'locked', 'disabled'),
  fault: fc.constantFrom(...faults),
});

/** Concurrent logins, and what happens before them. */
const step = fc.record({
  before: fc.constantFrom('nothing', 'nothing', 'renew', 'hang up', 'a minute'),
  logins: fc.array(login, { minLength: 1, maxLength: 3 }),
});

const outcomes: Readonly<Record<Exclude<Fault, 'none' | 'end' | 'notice' | 'repeat'>, RegExp>> = {
  cut: /^failed: this login got no answer: /,
  reset: /^failed: this login got no answer: /,
  late: /^failed: this login got no answer: .*no answer within 1s$/,
  abort: /^gone$/,
};

async function startScriptedServer() {
  let time = 0;
  const peers = new Set<FakePeer>();
  const scripts = new Map<string, (request: FakeRequest, peer: FakePeer) => void>();
  /** The number of binds by DN. `spent` has the connections with an unanswered bind, or an answer that came late. */
  const seen = new Map<string, number>();
  const spent = new Set<FakePeer>();
  const misused: string[] = [];
  const fake = await startFakeServer({
    onConnection: (peer) => peers.add(peer),
    onRequest(request, peer) {
      const { operation, dn } = request;
      if (operation === 'unbind') return;
      if (operation !== 'bind' || spent.has(peer)) misused.push(`${operation} ${dn}`);
      seen.set(dn, (seen.get(dn) ?? 0) + 1);
      spent.add(peer);
      scripts.get(dn)?.(request, peer);
    },
  });
  const options = directoryOptions([fake.server], {
    maxUserBinds: 100,
    circuit: { failures: 1000, probeInterval: 5000 },
  });
  const { directory } = directoryOf(options, connectLdap, { now: () => time });
  return {
    fake,
    directory,
    seen,
    misused,
    pass: (milliseconds: number) => {
      time += milliseconds;
    },
    hangUp() {
      for (const peer of peers) peer.end();
      peers.clear();
    },
    /** Scripts the answer to a bind. @param onArrival is called when the bind has come in */
    script(dn: string, { user, fault }: Login, onArrival: (answer: () => void) => void) {
      scripts.set(dn, ({ id }, peer) => {
        const answer = bindResponse({ id, ...answers[user] });
        const write = (...pieces: Buffer[]) => {
          spent.delete(peer);
          peer.write(...pieces);
        };
        if (fault === 'none' || fault === 'end') write(answer);
        if (fault === 'notice') write(Buffer.concat([answer, disconnectionNotice(52)]));
        if (fault === 'repeat') write(answer, answer);
        if (fault === 'end' || fault === 'cut') peer.end();
        if (fault === 'reset') peer.reset();
        onArrival(() => peer.write(answer));
      });
    },
  };
}

test('rule 2: whatever happens, each login gets the answer of a new connection, and no password is sent twice', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
      const place = await startScriptedServer();
      await using fake = place.fake;
      const { directory, seen, misused } = place;
      let count = 0;

      const logIn = async (one: Login) => {
        const { user, fault } = one;
        const dn = `uid=${user}-${count++}`;
        const controller = new AbortController();
        const late: Promise<BindResult>[] = [];
        // First all that the server has sent comes in: it may have seen a bind that crosses with the end of its connection.
        for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
        const { promise: arrived, resolve } = Promise.withResolvers<() => void>();
        place.script(dn, one, resolve);
        const outcome = outcomeOf(
          directory.bindUser(
            { dn, password: 'p' },
            { signal: controller.signal, onLate: (answer) => void late.push(answer) },
          ),
        );
        const answer = await arrived;
        if (fault === 'abort') controller.abort(new Error('gone'));
        if (fault === 'late') vi.advanceTimersByTime(1000);
        const { code = 0 } = answers[user] as { code?: number };
        const expected =
          fault in outcomes
            ? outcomes[fault as keyof typeof outcomes]
            : new RegExp(`"code":${code},`);
        // A second answer in the same bytes makes the first one doubtful.
        expect(await outcome).toMatch(
          fault === 'repeat' ? new RegExp(`${expected.source}|^unavailable: `) : expected,
        );
        if (fault === 'late') {
          answer();
          expect(await late[0]).toMatchObject({ code });
        }
      };
      for (const { before, logins } of steps) {
        if (before === 'renew') directory.renewConnections();
        if (before === 'hang up') place.hangUp();
        if (before === 'a minute') place.pass(60_000);
        // A late answer moves the clock for all logins, so these run one by one.
        const isLate = logins.some(({ fault }) => fault === 'late');
        if (isLate) for (const one of logins) await logIn(one);
        else await Promise.all(logins.map(logIn));
      }
      expect([misused, [...seen.values()].filter((times) => times !== 1), seen.size]).toEqual([
        [],
        [],
        count,
      ]);
      await directory.close();
      await fake.untilClosed();
    }),
    { numRuns: 50 },
  );
});
