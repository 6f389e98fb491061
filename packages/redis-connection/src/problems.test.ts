import { anyCharacter } from '@sallyport/scripts/any-character';
import { newPassword } from '@sallyport/test-servers/passwords';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { describeProblem, isReplyError, RedisProblem } from './problems.ts';
import { revealed, wording } from './testing/opened.ts';

const secret = newPassword();

/** An error of Redis as ioredis throws it: with the command and its arguments. */
function replyError(message: string): Error {
  const command = { name: 'hello', args: ['3', 'AUTH', 'gateway', secret] };
  return Object.assign(new Error(message), { name: 'ReplyError', command });
}

const systemError = (code: string, message = `connect ${code} ${secret}`) =>
  Object.assign(new Error(message), { code });

const terms = { name: 'redis.example.com', wording };
const acl = `compare its ACL with ${wording.minimalAcl}`;
const refused = `it refuses the username or the password, or the user is disabled: create the user, or correct the password: ${wording.minimalAcl}`;

describe('an error of Redis', () => {
  test.each([
    {
      message: 'WRONGPASS invalid username-password pair or user is disabled.',
      kind: 'authentication',
      problem: refused,
    },
    {
      message: 'NOAUTH Authentication required.',
      kind: 'authentication',
      problem: /^it requires a password: /,
    },
    {
      message: 'NOAUTH HELLO must be called with the client already authenticated, otherwise',
      kind: 'authentication',
      problem: /^it requires a/,
    },
    {
      message: "NOPERM User gateway has no permissions to run the 'pttl' command",
      kind: 'permission',
      problem: `the user is not allowed to do this (PTTL): ${acl}`,
    },
    {
      message: "NOPERM User gateway has no permissions to run the 'acl|whoami' command",
      kind: 'permission',
      problem: `the user is not allowed to do this (ACL|WHOAMI): ${acl}`,
    },
    {
      message: 'NOPERM No permissions to access a key',
      kind: 'permission',
      problem: `the user is not allowed to do this: ${acl}`,
    },
    {
      message:
        "ERR ACL failure in script: User gateway has no permissions to run the 'hset' command script: 1f, on @user_script:3.",
      kind: 'permission',
      problem: `the user is not allowed to do this (HSET): ${acl}`,
    },
    {
      message:
        'ERR ACL failure in script: No permissions to access a key script: 1f, on @user_script:3.',
      kind: 'permission',
      problem: `the user is not allowed to do this: ${acl}`,
    },
    {
      message: 'WRONGTYPE Operation against a key holding the wrong kind of value',
      kind: 'type',
      problem: 'the value is of another type than was looked for',
    },
    {
      message: 'WRONGTYPE Operation against a key holding the wrong kind of value script: 1f',
      kind: 'type',
      problem: 'the value is of another type than was looked for',
    },
    {
      message: 'LOADING Redis is loading the dataset in memory',
      kind: 'server',
      problem: 'it is still loading its data',
    },
    {
      message: 'BUSY Redis is busy running a script.',
      kind: 'server',
      problem: 'it is busy with a script',
    },
    {
      message: 'MASTERDOWN Link with MASTER is down',
      kind: 'server',
      problem: 'it is a replica that has lost its master',
    },
    {
      message: "READONLY You can't write against a read only replica.",
      kind: 'server',
      problem: 'it is a replica, which accepts no writes: name its primary',
    },
    {
      message: "OOM command not allowed when used memory > 'maxmemory'.",
      kind: 'server',
      problem: 'its memory is full (maxmemory): raise maxmemory, or remove other data',
    },
    {
      message: 'MISCONF Redis is configured to save RDB snapshots',
      kind: 'server',
      problem: /^it accepts no writes because it can't save them/,
    },
    {
      message: 'NOREPLICAS Not enough good replicas to write.',
      kind: 'server',
      problem: /^it accepts no writes because it has too few replicas/,
    },
    {
      message: 'CLUSTERDOWN Hash slot not served',
      kind: 'node',
      problem: 'no node of the cluster serves this key now',
    },
    {
      message: 'MOVED 1234 192.0.2.1:6379',
      kind: 'node',
      problem: 'the node that has this key is unreachable',
    },
    { message: 'ASK 1234 192.0.2.1:6379', kind: 'node', problem: 'the cluster is moving this key' },
    {
      message: 'ERR DB index is out of range',
      kind: 'server',
      problem: /^it has no database with this number: /,
    },
    {
      message: 'ERR max number of clients reached',
      kind: 'server',
      problem:
        'it accepts no further connection: raise maxclients in redis.conf, or stop other clients',
    },
    { message: 'ERR something new', kind: 'server', problem: 'it answers ERR' },
    { message: 'SOMETHING new', kind: 'server', problem: 'it answers SOMETHING' },
    { message: 'something', kind: 'server', problem: 'it answers an error' },
    { message: '', kind: 'server', problem: 'it answers an error' },
  ])('$message is of the kind $kind', ({ message, kind, problem }) => {
    const found = describeProblem(replyError(message), terms);
    expect(found.kind).toBe(kind);
    if (typeof problem === 'string') expect(found.problem).toBe(problem);
    else expect(found.problem).toMatch(problem);
  });

  test.each([
    (word: string) =>
      `ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'gateway' '${word}' `,
    (word: string) => `ERR unknown subcommand '${word}'. Try CLIENT HELP.`,
    (word: string) => `NOPERM User ${word} has no permissions to run the 'get' command`,
    (word: string) => `NOPERM User gateway has no permissions to run the '${word}' command`,
    (word: string) => `WRONGPASS ${word}`,
    (word: string) => `ERR ${word}`,
    (word: string) => `ERR ACL failure in script: ${word}`,
    (word: string) => `-${word}`,
    (word: string) => word,
  ])(
    'is never reported with a password that Redis quotes, nor with the data of ioredis: %#',
    (message) => {
      for (const word of [secret, `${secret}'`, `x ${secret}`, `'get' ${secret}`]) {
        const found = revealed(describeProblem(replyError(message(word)), terms));
        expect(found.toLowerCase()).not.toContain(secret.toLowerCase());
      }
    },
  );

  test('is explained in our own words, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter }), fc.string(), (text, word) => {
        for (const message of [
          text,
          `ERR ${text}`,
          `NOPERM ${text}`,
          `${word.toUpperCase()} ${text}`,
        ]) {
          const { problem } = describeProblem(replyError(message), terms);
          expect(problem).toMatch(/^[A-Za-z0-9 ,:()|?/._-]+$/);
          expect(problem.length).toBeLessThan(120);
        }
      }),
    );
  });
});

describe('a key that the user may not use', () => {
  const digest = 'ab'.repeat(32);
  const problem = (
    name: string,
    args: readonly string[],
    message = 'NOPERM No permissions to access a key',
  ) =>
    describeProblem(Object.assign(replyError(message), { command: { name, args } }), terms).problem;
  const onKeys = (what: string) => `the user is not allowed to do this (${what}): ${acl}`;

  test.each([
    {
      name: 'getrange',
      args: [`sallyport:token:${digest}`, '0', '9'],
      what: 'GETRANGE on keys sallyport:token:*',
    },
    { name: 'pttl', args: [`robots-${digest}`], what: 'PTTL on keys robots-*' },
    {
      name: 'SET',
      args: [`sallyport:token:${digest}:last-use`, 'x'],
      what: 'SET on keys sallyport:token:*',
    },
    { name: 'eval_ro', args: ['return 1', '1', `a:${digest}`], what: 'EVAL_RO on keys a:*' },
    {
      name: 'get',
      args: ['sallyport:cache:0123456789-_abcdefghijABCDEFGHIJxyzXYZ01234'],
      what: 'GET on keys sallyport:cache:*',
    },
    {
      name: 'eval',
      args: ['return 1', '1', 'a:lockout:{0123456789-_abcdefghijABCDEFGHIJxy}'],
      what: 'EVAL on keys a:lockout:*',
    },
    {
      name: 'hdel',
      args: ['sallyport:{revocations}:ended-newest', 'x'],
      what: 'HDEL on keys sallyport:{revocations}:*',
    },
    {
      name: 'evalsha',
      args: ['1f', '1', 'sallyport:lockout:{names}:497000'],
      what: 'EVALSHA on keys sallyport:lockout:{names}:*',
    },
  ])('is named by the command $name and a pattern', ({ name, args, what }) => {
    expect(problem(name, args)).toBe(onKeys(what));
  });

  test('is not named where it may be something else, or has no digest', () => {
    const plain = `the user is not allowed to do this: ${acl}`;
    expect(problem('hello', ['3', 'AUTH', 'gateway', secret])).toBe(plain);
    expect(problem('auth', [`a:${digest}`])).toBe(plain);
    expect(problem('constructor', [`a:${digest}`])).toBe(plain);
    expect(problem('get', [secret])).toBe(plain);
    expect(problem('get', [`a b:${digest}`])).toBe(plain);
    expect(problem('get', [])).toBe(plain);
  });
});

describe('an error of the connection', () => {
  test.each([
    {
      code: 'ECONNREFUSED',
      kind: 'connection',
      problem: 'the connection was refused: is it running, and is this its port?',
    },
    { code: 'ECONNRESET', kind: 'connection', problem: 'the connection was reset' },
    { code: 'EPIPE', kind: 'connection', problem: 'the connection was reset' },
    { code: 'ENOTFOUND', kind: 'connection', problem: 'DNS does not know the name' },
    { code: 'EAI_AGAIN', kind: 'connection', problem: 'DNS does not answer' },
    { code: 'ENOENT', kind: 'connection', problem: 'the socket does not exist' },
    { code: 'EACCES', kind: 'connection', problem: /^access to the socket is denied/ },
    { code: 'EHOSTUNREACH', kind: 'connection', problem: 'there is no route to the host' },
    { code: 'ENETUNREACH', kind: 'connection', problem: 'there is no route to its network' },
    { code: 'ETIMEDOUT', kind: 'timeout', problem: 'no answer in time' },
    { code: 'EPROTO', kind: 'connection', problem: 'the connection failed (EPROTO)' },
    {
      code: 'ERR_SSL_TLSV1_ALERT_DECODE_ERROR',
      kind: 'connection',
      problem: 'the connection was closed',
    },
    {
      code: 'EMFILE',
      kind: 'local',
      problem:
        /^this process has no file descriptor left \(EMFILE\): raise its limit of open files/,
    },
    { code: 'ENFILE', kind: 'local', problem: /^this machine has no file descriptor left/ },
    { code: 'ENOBUFS', kind: 'local', problem: /^this machine has no memory left/ },
    { code: 'ENOMEM', kind: 'local', problem: /^this machine has no memory left/ },
    {
      code: 'EADDRNOTAVAIL',
      kind: 'local',
      problem: /^this machine has no local address or port left/,
    },
    { code: 'EBUSY', kind: 'local', problem: /^this process could not ask DNS \(EBUSY\)/ },
    { code: 'EAI_MEMORY', kind: 'local', problem: /^this machine has no memory left to ask DNS/ },
    {
      code: 'SELF_SIGNED_CERT_IN_CHAIN',
      kind: 'tls',
      problem: /put the certificate of that CA into caFile$/,
    },
    {
      code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      kind: 'tls',
      problem: /put the certificate of that CA into caFile$/,
    },
    {
      code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
      kind: 'tls',
      problem: /put the certificate of that CA into caFile$/,
    },
    { code: 'CERT_HAS_EXPIRED', kind: 'tls', problem: /has expired/ },
    {
      code: 'ERR_SSL_WRONG_VERSION_NUMBER',
      kind: 'tls',
      problem: /^the server answers, but not in TLS: is this its tls-port/,
    },
    {
      code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
      kind: 'tls',
      problem: /^the server refused the client certificate, or requires one/,
    },
  ])('$code is of the kind $kind', ({ code, kind, problem }) => {
    const found = describeProblem(systemError(code), terms);
    expect(found.kind).toBe(kind);
    if (typeof problem === 'string') expect(found.problem).toBe(problem);
    else expect(found.problem).toMatch(problem);
    expect(revealed(found)).not.toContain(secret);
  });

  test.each([
    { message: 'Command timed out', kind: 'timeout', problem: 'no answer in time' },
    {
      message: "Socket timeout. Expecting data, but didn't receive any in 1000ms.",
      kind: 'timeout',
      problem: 'no answer in time',
    },
    {
      message: "Stream isn't writeable and enableOfflineQueue options is false",
      kind: 'connection',
      problem: 'the connection was closed',
    },
    { message: 'Connection is closed.', kind: 'connection', problem: 'the connection was closed' },
    {
      message: 'Command aborted due to connection close',
      kind: 'connection',
      problem: 'the connection was closed',
    },
    {
      message: 'All sentinels are unreachable. Retrying from scratch after 10ms.',
      kind: 'connection',
      problem: /^no sentinel names a master/,
    },
    {
      message: 'All sentinels are unreachable. Last error: WRONGPASS x',
      kind: 'authentication',
      problem: /^the sentinels refuse the login/,
    },
    {
      message: 'Failed to refresh slots cache.',
      kind: 'cluster',
      problem: 'no node of the cluster answers',
    },
    {
      message: 'None of startup nodes is available',
      kind: 'cluster',
      problem: 'no node of the cluster answers',
    },
  ])('$message is of the kind $kind', ({ message, kind, problem }) => {
    const found = describeProblem(new Error(message), terms);
    expect(found.kind).toBe(kind);
    if (typeof problem === 'string') expect(found.problem).toBe(problem);
    else expect(found.problem).toMatch(problem);
  });

  test.each([
    'All sentinels are unreachable. Retrying from scratch after 10ms. Last error: connect EMFILE 192.0.2.1:26379 - Local (undefined)',
    'All sentinels are unreachable. Retrying from scratch after 10ms. Last error: getaddrinfo EBUSY sentinel.example.com',
  ])('is a local shortage when it prevents that any sentinel is asked: %s', (message) => {
    expect(describeProblem(new Error(message), terms).kind).toBe('local');
  });

  test('is a local shortage when it prevents that any node of a cluster is asked', () => {
    const error = Object.assign(new Error('Failed to refresh slots cache.'), {
      lastNodeError: systemError('EMFILE'),
    });
    expect(describeProblem(error, terms).kind).toBe('local');
    expect(
      describeProblem(Object.assign(error, { lastNodeError: systemError('ECONNREFUSED') }), terms)
        .kind,
    ).toBe('cluster');
  });

  test.each([
    {
      lastNodeError: replyError('WRONGPASS x'),
      problem:
        'no node of the cluster can be used: it refuses the username or the password, or the',
    },
    {
      lastNodeError: new Error('timeout'),
      problem: 'no node of the cluster can be used: no answer in time',
    },
    {
      lastNodeError: new Error('Connection is closed.'),
      problem: 'no node of the cluster answers',
    },
  ])(
    'of a cluster is the reason of the last node: $lastNodeError',
    ({ lastNodeError, problem }) => {
      const error = Object.assign(new Error('Failed to refresh slots cache.'), { lastNodeError });
      expect(describeProblem(error, terms)).toEqual({
        kind: 'cluster',
        problem: expect.stringMatching(`^${problem}`),
      });
    },
  );

  test('names the expected and the actual certificate', () => {
    const cert = { subjectaltname: 'DNS:other.example.com' };
    const error = Object.assign(systemError('ERR_TLS_CERT_ALTNAME_INVALID'), { cert });
    expect(describeProblem(error, terms)).toEqual({
      kind: 'tls',
      problem: expect.stringContaining(
        'is not for redis.example.com but for DNS:other.example.com',
      ),
    });
  });

  test('that is a RedisProblem already stays as it is', () => {
    expect(describeProblem(new RedisProblem('tls', 'as it was'), terms)).toEqual({
      kind: 'tls',
      problem: 'as it was',
    });
  });

  test.each([
    { thrown: 'text' },
    { thrown: undefined },
    { thrown: null },
    { thrown: 7 },
    { thrown: { message: 'NOPERM' } },
  ])('that is no error is explained, too: $thrown', ({ thrown }) => {
    expect(describeProblem(thrown, terms)).toEqual({
      kind: 'server',
      problem: 'it failed in an unknown way',
    });
  });
});

test('only an answer of Redis itself is a reply error', () => {
  expect(isReplyError(replyError('ERR'))).toBe(true);
  for (const other of [
    new Error('ERR'),
    systemError('ECONNRESET'),
    { name: 'ReplyError' },
    undefined,
  ]) {
    expect(isReplyError(other)).toBe(false);
  }
});
