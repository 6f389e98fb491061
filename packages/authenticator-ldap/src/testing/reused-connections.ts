import type { Decision } from '@sallyport/authenticator';
import fc from 'fast-check';
import { expect, onTestFinished } from 'vitest';
import plugin from '../index.ts';
import { type PluginGateway, pluginGateway } from './plugin-gateway.ts';

/** A directory with users in several states, which wrong passwords must not change. */
interface Place {
  /** The options as gateway.yaml has them, with `ldaps://`. */
  readonly options: Record<string, unknown>;
  /** The URL for StartTLS. */
  readonly url: string;
  /** The first two may log in. */
  readonly users: readonly { readonly name: string; readonly password: string }[];
}

/** Logs in again and again, in any sequence, over LDAPS and StartTLS: each login gets what a new connection gets. */
export async function compareWithNewConnections({ options, url, users }: Place): Promise<void> {
  const single = await opened({ ...options, reuseUserConnections: false });
  const logins = [...users, { name: 'nobody', password: 'any' }].flatMap(({ name, password }) => [
    { name, password },
    { name, password: `${password}x` },
  ]);
  const all: { name: string; password: string; expected: Decision }[] = [];
  for (const login of logins)
    all.push({ ...login, expected: await single.logIn(login.name, login.password) });
  expect(new Set(all.map(({ expected }) => JSON.stringify(expected))).size).toBeGreaterThan(
    users.length,
  );

  for (const more of [{}, { urls: [url], startTLS: true }]) {
    const reusing = await opened({ ...options, ...more });
    // These logins leave the connection open, so it is used again.
    const ordinary = all.slice(0, 4);
    const login = fc.constantFrom(...all, ...ordinary);
    await fc.assert(
      fc.asyncProperty(fc.array(login, { minLength: 10, maxLength: 15 }), async (random) => {
        const sequence = [...ordinary, ...random, ...ordinary];
        const expected = sequence.map(({ expected }) => expected);
        const logIn = ({ name, password }: (typeof all)[number]) => reusing.logIn(name, password);
        const came: Decision[] = [];
        for (const one of sequence) came.push(await logIn(one));
        expect(came).toEqual(expected);
        expect(connects(reusing)).toBeLessThan(sequence.length);
        expect(await Promise.all(sequence.map(logIn))).toEqual(expected);
      }),
      { numRuns: 1, endOnFailure: true },
    );
  }
}

async function opened(options: Record<string, unknown>): Promise<PluginGateway> {
  const made = await pluginGateway(plugin, options);
  onTestFinished(() => made[Symbol.asyncDispose]());
  return made;
}

/** Counts the connections, those of the service account included. */
function connects({ metrics }: PluginGateway): number {
  return metrics.find(({ name }) => name.endsWith('_connects_total'))?.labels.length ?? 0;
}
