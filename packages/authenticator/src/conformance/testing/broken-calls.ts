import { setImmediate } from 'node:timers/promises';
import { AuthenticatorError, type Decision } from '../../index.ts';
import { type BrokenPlugins, withAnswer, withAuthenticator, withSchema } from './broken-plugin.ts';

const created = 'create() succeeds while the backend is stopped';
const unavailable = 'a stopped backend is reported as unavailable, never as a refusal';
const never = new AbortController().signal;

const brokenAborts: BrokenPlugins = {
  'a call whose signal is aborted already rejects immediately': {
    'does not look at a signal that is aborted already': withAuthenticator(({ authenticate }) => ({
      authenticate: (token, context) =>
        authenticate(
          token,
          context.signal.aborted ? { ...context, signal: new AbortController().signal } : context,
        ),
    })),
  },
  'an abort in mid-call ends the call, and it does not decide': {
    'decides although the call was aborted': withAuthenticator(({ authenticate }) => ({
      authenticate(token, context) {
        context.signal.throwIfAborted();
        const aborted = Promise.withResolvers<never>();
        context.signal.addEventListener('abort', async () => {
          for (let turn = 0; turn < 5; turn += 1) await setImmediate();
          aborted.reject(context.signal.reason);
        });
        aborted.promise.catch(() => {});
        const { signal } = new AbortController();
        return Promise.race([authenticate(token, { ...context, signal }), aborted.promise]);
      },
    })),
  },
  'a call that waits for a hung backend ends when it is aborted': {
    'waits for a hung backend whatever the signal says': [
      withAuthenticator(({ authenticate }, _context, { backend }) => ({
        authenticate: (token, context) =>
          authenticate(
            token,
            backend.state === 'hung'
              ? { ...context, signal: new AbortController().signal }
              : context,
          ),
      })),
      'a backend that hung and is back is used by the same authenticator',
    ],
  },
};

const brokenOutages: BrokenPlugins = {
  [unavailable]: {
    'refuses all users during an outage': [
      withAuthenticator(({ authenticate }, _context, { backend }) => ({
        authenticate: (token, context) =>
          Promise.resolve(authenticate(token, context)).catch((error: unknown): Decision => {
            if (backend.state !== 'stopped' || context.signal.aborted) throw error;
            return { kind: 'rejected', reason: 'invalid-credentials' };
          }),
      })),
      created,
    ],
    'says that an outage concerns one token': [
      withAuthenticator(({ authenticate }) => ({
        authenticate: (token, context) =>
          Promise.resolve(authenticate(token, context)).catch(() => {
            throw new AuthenticatorError('failed', 'the lookup failed');
          }),
      })),
      created,
    ],
  },
  [created]: {
    'connects before it is asked anything': ({ good, backend }) => ({
      ...good,
      async create(options, context) {
        await backend.lookup('anyone', never);
        return await good.create(options, context);
      },
    }),
  },
  ...Object.fromEntries(
    (['stopped', 'hung'] as const).map((state) => [
      `a backend that ${state === 'hung' ? 'hung' : 'was stopped'} and is back is used by the same authenticator`,
      {
        [`never tries again once it saw the backend ${state}`]: withAuthenticator(
          ({ authenticate }, _context, { backend }) => {
            let dead = false;
            return {
              async authenticate(token, context) {
                context.signal.throwIfAborted();
                dead ||= backend.state === state;
                if (dead && backend.state === 'up')
                  throw new AuthenticatorError('unavailable', 'the connection is closed');
                return await authenticate(token, context);
              },
            };
          },
        ),
      },
    ]),
  ),
};

const brokenSecrecy: BrokenPlugins = {
  'no error carries a token or a password': {
    'hangs the token, encoded, on the cause of an error': withAuthenticator(({ authenticate }) => ({
      authenticate: (token, context) =>
        Promise.resolve(authenticate(token, context)).catch((error: Error) => {
          const cause = Object.assign(new Error('request failed'), {
            body: Buffer.from(token).toString('base64'),
          });
          throw new AuthenticatorError('unavailable', error.message, { cause });
        }),
    })),
  },
  'what is said against bad options carries no password': {
    'repeats the options in its messages': withSchema((schema) => ({
      async validate(value) {
        const result = await schema.validate(value);
        if (result.issues === undefined) return result;
        return {
          issues: result.issues.map((issue) => ({
            ...issue,
            message: `bad: ${JSON.stringify(value)}`,
          })),
        };
      },
    })),
  },
  'no decision carries a token or a password': {
    'puts the token into a decision': withAnswer((decision, token) =>
      decision.kind === 'authenticated' ? { ...decision, audiences: [token] } : decision,
    ),
  },
  'nothing that is logged carries a token or a password': {
    'logs half of the token': withAuthenticator(({ authenticate }, { logger }) => ({
      authenticate(token, context) {
        logger.debug({ token: `${token.slice(0, token.length / 2)}…` }, 'asked');
        return authenticate(token, context);
      },
    })),
  },
  'no metric carries a token or a password': {
    'makes the token a label': withAuthenticator(({ authenticate }, { metrics }) => {
      const asked = metrics.counter({ name: 'asked_total', help: 'Calls.', labelNames: ['token'] });
      return {
        authenticate(token, context) {
          asked.inc({ token: Buffer.from(token).toString('hex') });
          return authenticate(token, context);
        },
      };
    }),
  },
  'the labels of metrics name no user': {
    'makes the username a label': withAuthenticator(({ authenticate }, { metrics }) => {
      const seen = metrics.gauge({
        name: 'last_seen',
        help: 'Unix time in seconds.',
        labelNames: ['user'],
      });
      return {
        async authenticate(token, context) {
          const decision = await authenticate(token, context);
          if (decision.kind === 'authenticated') seen.set({ user: decision.user.username }, 0);
          return decision;
        },
      };
    }),
  },
};

export const brokenCalls: readonly BrokenPlugins[] = [brokenAborts, brokenOutages, brokenSecrecy];
