import { randomToken } from '@sallyport/test-servers/tokens';
import { describe, expect, test } from 'vitest';
import { createPlace } from './testing/token-place.ts';
import { record, recordsOfJaneAndBob } from './testing/token-records.ts';

describe('revoke', () => {
  const tokens = recordsOfJaneAndBob();

  test('what can’t be read may be the user’s: it is reported, the others are revoked, and it exits 1', async () => {
    const { revoke, stored } = await createPlace({
      tokens: [record('ee', 'x', { problem: 'broken' }), ...tokens],
    });
    const { code, stdout, stderr } = await revoke(['--user', 'robot:bob']);
    expect([code, stdout.split('\n').slice(0, 2)]).toEqual([
      1,
      [
        expect.stringMatching(/^revoked abcdef002200 {2}robot:bob /),
        '1 token revoked, 1 unreadable.',
      ],
    ]);
    expect(stderr).toBe(
      'sallyport: ee0000000000 was not revoked: its record is unreadable, so it may be theirs: broken\n',
    );
    expect((await stored())[2]).toHaveProperty('revoked');
  });

  test('one that can’t be read is not revoked by its digest either', async () => {
    const { revoke } = await createPlace({
      tokens: [record('eeeeeeee', 'x', { problem: 'broken' })],
    });
    expect(await revoke(['--digest', 'eeeeeeee'])).toEqual({
      code: 1,
      stdout: expect.stringMatching(/^0 tokens revoked, 1 unreadable\.\n/),
      stderr:
        'sallyport: eeeeeeee0000 was not revoked: its record is unreadable, so it authenticates no one as it is: broken\n',
    });
  });

  test('an error in the middle: what was revoked until then is reported, then the error', async () => {
    const { revoke, calls } = await createPlace({ tokens, options: { fails: 'revoke', after: 1 } });
    const { code, stdout, stderr } = await revoke(['--user', 'robot:jane']);
    expect([code, await calls()]).toEqual([1, 'closed\n']);
    expect(stdout).toMatch(/^revoked abcdef001100 .*\n1 token revoked\.\nWithout /);
    expect(stderr).toMatch(
      / could not revoke everything: the store is away: start it\n {2}fix: make its backend answer, and run the command again\. To see whether it answers, run: sallyport check --config \S+\n$/,
    );
  });

  test('an error while a digest is completed: nothing is revoked, and that is said', async () => {
    const { revoke, stored } = await createPlace({ tokens, options: { fails: 'list' } });
    const { code, stdout, stderr } = await revoke(['--digest', 'abcdef0011']);
    expect([code, stdout, await stored()]).toEqual([1, '', tokens]);
    expect(stderr).toMatch(
      /^sallyport: nothing is revoked: .* could not list its tokens: the store is away: start it\n {2}fix: make its backend answer, and run the command again\. To see whether it answers, run: sallyport check --config \S+\n$/,
    );
  });

  test('an error that quotes the token is withheld', async () => {
    const { revoke } = await createPlace({
      options: { fails: 'revoke', message: 'no key slp:TOKEN' },
    });
    const { code, stdout, stderr } = await revoke(['--token'], randomToken());
    expect([code, stdout]).toEqual([1, expect.stringMatching(/^0 tokens revoked\.\n/)]);
    expect(stderr).toMatch(
      /: the plugin's message is hidden because it contains a secret\n {2}fix: make its backend answer, .*\n$/,
    );
  });
});
