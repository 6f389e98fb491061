import { readFile } from 'node:fs/promises';
import type { Account } from '@sallyport/test-servers/ldap-tools';
import { expect } from 'vitest';
import { parse } from 'yaml';
import plugin from '../index.ts';
import { type PluginGateway, pluginGateway } from './plugin-gateway.ts';

/** What differs between two directories of one kind. */
interface Place {
  readonly ldapsUrl: string;
  readonly caFile: string;
  readonly suffix: string;
  readonly service: Account;
}

/** Creates the plugin with a file of `examples/`, for this directory. */
export async function exampleGateway(
  file: string,
  { ldapsUrl, caFile, suffix, service }: Place,
): Promise<PluginGateway> {
  const text = await readFile(new URL(`../../examples/${file}`, import.meta.url), 'utf8');
  const options = parse(text.replaceAll(/dc=example,dc=com/gi, suffix));
  return pluginGateway(plugin, {
    ...options,
    urls: [ldapsUrl],
    caFile,
    bind: service,
    serverTimeout: '30s',
  });
}

/** Expects that the logins of `alice` work. @param names what `alice` may type */
export async function expectExampleWorks(
  made: PluginGateway,
  names: readonly string[],
  password: string,
  groups: readonly string[],
): Promise<void> {
  expect(await made.check()).toEqual([]);
  for (const name of names) {
    expect(await made.logIn(name, password)).toEqual({
      kind: 'authenticated',
      user: {
        username: 'alice',
        uid: expect.stringMatching(/^[0-9a-f]{8}-/),
        groups,
        extra: { 'example.com/email': ['alice@example.com'] },
      },
    });
    const refused = { kind: 'rejected', reason: 'invalid-credentials', subject: 'alice' };
    expect(await made.logIn(name, `${password}x`)).toEqual(refused);
    expect(await made.logIn(`no-${name}`, password)).toEqual({ kind: 'no-opinion' });
  }
  expect(made.lines.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
}
