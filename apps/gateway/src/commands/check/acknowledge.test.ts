import { expect, test } from 'vitest';
import type { NamedFinding } from '../finding.ts';
import { acknowledge } from './acknowledge.ts';

const sharing = {
  check: 'shared names',
  result: 'warning',
  name: 'shared-names',
  detail: 'corp-eu, partner: they are asked in this order',
} as const;

function run(findings: readonly NamedFinding[], about?: string) {
  const entry = {
    warning: 'shared-names' as const,
    reason: 'one forest',
    ...(about !== undefined && { about }),
    problem: (words: object) => ({ file: 'gateway.yaml', path: 'check', message: '', ...words }),
  };
  return acknowledge(findings, [entry]).map(({ result, detail }) => `${result}: ${detail}`);
}

const acknowledged = `acknowledged: ${sharing.detail}`;
const unused = 'warning: gateway.yaml: check: no warning is like this one';

test.each([undefined, 'partner', 'corp-eu', 'shared names'])(
  'an entry covers warnings of its name with the words %s',
  (about) => expect(run([sharing], about)).toEqual([acknowledged]),
);

test.each(['corp', 'eu', 'part', 'other'])(
  'it covers no warning without the whole words %s, and is a warning itself then',
  (about) => expect(run([sharing], about)).toEqual([`warning: ${sharing.detail}`, unused]),
);

test('it covers no warning of another name, and no error', () => {
  const clock = { ...sharing, name: 'clock' } as const;
  expect(run([clock])).toEqual([`warning: ${sharing.detail}`, unused]);
  const error = { check: 'shared names', result: 'error', detail: 'x' } as const;
  // The error may have kept the warning from being found.
  expect(run([error])).toEqual(['error: x']);
});
