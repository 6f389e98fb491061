import { anyCharacter } from '@sallyport/scripts/any-character';
import { newPassword } from '@sallyport/test-servers/passwords';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isReplyError, problemOf, RedisProblem } from './problems.ts';
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
const refused = 'it refuses the username or the password, or the user is disabled';

describe('an error of Redis', () => {
  test.each([
    ['WRONGPASS invalid username-password pair or user is disabled.', 'authentication', refused],
    ['NOAUTH Authentication required.', 'authentication', /^it requires a password: /],
    [
      'NOAUTH HELLO must be called with the client already authenticated, otherwise',
      'authentication',
      /^it requires a/,
    ],
    [
      "NOPERM User gateway has no permissions to run the 'pttl' command",
      'permission',
      `the user is not allowed to do this (PTTL): ${acl}`,
    ],
    [
      "NOPERM User gateway has no permissions to run the 'acl|whoami' command",
      'permission',
      `the user is not allowed to do this (ACL|WHOAMI): ${acl}`,
    ],
    [
      'NOPERM No permissions to access a key',
      'permission',
      `the user is not allowed to do this: ${acl}`,
    ],
    [
      "ERR ACL failure in script: User gateway has no permissions to run the 'hset' command script: 1f, on @user_script:3.",
      'permission',
      `the user is not allowed to do this (HSET): ${acl}`,
    ],
    [
      'ERR ACL failure in script: No permissions to access a key script: 1f, on @user_script:3.',
      'permission',
      `the user is not allowed to do this: ${acl}`,
    ],
    [
      'WRONGTYPE Operation against a key holding the wrong kind of value',
      'type',
      'the value is of another type than was looked for',
    ],
    [
      'WRONGTYPE Operation against a key holding the wrong kind of value script: 1f',
      'type',
      'the value is of another type than was looked for',
    ],
    ['LOADING Redis is loading the dataset in memory', 'server', 'it is still loading its data'],
    ['BUSY Redis is busy running a script.', 'server', 'it is busy with a script'],
    ['MASTERDOWN Link with MASTER is down', 'server', 'it is a replica that has lost its master'],
    [
      "READONLY You can't write against a read only replica.",
      'server',
      'it is a replica, which accepts no writes',
    ],
    [
      "OOM command not allowed when used memory > 'maxmemory'.",
      'server',
      'its memory is full (maxmemory)',
    ],
    [
      'MISCONF Redis is configured to save RDB snapshots',
      'server',
      /^it accepts no writes because it can't save them/,
    ],
    [
      'NOREPLICAS Not enough good replicas to write.',
      'server',
      /^it accepts no writes because it has too few replicas/,
    ],
    ['CLUSTERDOWN Hash slot not served', 'node', 'no node of the cluster serves this key now'],
    ['MOVED 1234 192.0.2.1:6379', 'node', 'the node that has this key is unreachable'],
    ['ASK 1234 192.0.2.1:6379', 'node', 'the cluster is moving this key'],
    ['ERR DB index is out of range', 'server', /^it has no database with this number: /],
    ['ERR max number of clients reached', 'server', 'it answers ERR'],
    ['SOMETHING new', 'server', 'it answers SOMETHING'],
    ['something', 'server', 'it answers an error'],
    ['', 'server', 'it answers an error'],
  ])('%s is of the kind %s', (message, kind, problem) => {
    const found = problemOf(replyError(message), terms);
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
        const found = revealed(problemOf(replyError(message(word)), terms));
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
          const { problem } = problemOf(replyError(message), terms);
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
  ) => problemOf(Object.assign(replyError(message), { command: { name, args } }), terms).problem;
  const onKeys = (what: string) => `the user is not allowed to do this (${what}): ${acl}`;

  test.each([
    ['getrange', [`sallyport:token:${digest}`, '0', '9'], 'GETRANGE on keys sallyport:token:*'],
    ['pttl', [`robots-${digest}`], 'PTTL on keys robots-*'],
    ['SET', [`sallyport:token:${digest}:last-use`, 'x'], 'SET on keys sallyport:token:*'],
    ['eval_ro', ['return 1', '1', `a:${digest}`], 'EVAL_RO on keys a:*'],
    [
      'get',
      ['sallyport:cache:0123456789-_abcdefghijABCDEFGHIJxyzXYZ01234'],
      'GET on keys sallyport:cache:*',
    ],
    [
      'eval',
      ['return 1', '1', 'a:lockout:{0123456789-_abcdefghijABCDEFGHIJxy}'],
      'EVAL on keys a:lockout:*',
    ],
    [
      'hdel',
      ['sallyport:{revocations}:ended-newest', 'x'],
      'HDEL on keys sallyport:{revocations}:*',
    ],
    [
      'evalsha',
      ['1f', '1', 'sallyport:lockout:{names}:497000'],
      'EVALSHA on keys sallyport:lockout:{names}:*',
    ],
  ])('is named by the command %s and a pattern', (name, args, what) => {
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
    [
      'ECONNREFUSED',
      'connection',
      'the connection was refused: is it running, and is this its port?',
    ],
    ['ECONNRESET', 'connection', 'the connection was reset'],
    ['EPIPE', 'connection', 'the connection was reset'],
    ['ENOTFOUND', 'connection', 'DNS does not know the name'],
    ['EAI_AGAIN', 'connection', 'DNS does not answer'],
    ['ENOENT', 'connection', 'the socket does not exist'],
    ['EACCES', 'connection', /^access to the socket is denied/],
    ['EHOSTUNREACH', 'connection', 'there is no route to the host'],
    ['ENETUNREACH', 'connection', 'there is no route to its network'],
    ['ETIMEDOUT', 'timeout', 'no answer in time'],
    ['EPROTO', 'connection', 'the connection failed (EPROTO)'],
    ['ERR_SSL_TLSV1_ALERT_DECODE_ERROR', 'connection', 'the connection was closed'],
    [
      'EMFILE',
      'local',
      /^this process has no file descriptor left \(EMFILE\): raise its limit of open files/,
    ],
    ['ENFILE', 'local', /^this machine has no file descriptor left/],
    ['ENOBUFS', 'local', /^this machine has no memory left/],
    ['ENOMEM', 'local', /^this machine has no memory left/],
    ['EADDRNOTAVAIL', 'local', /^this machine has no local address or port left/],
    ['EBUSY', 'local', /^this process could not ask DNS \(EBUSY\)/],
    ['EAI_MEMORY', 'local', /^this machine has no memory left to ask DNS/],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'tls', /put the certificate of that CA into caFile$/],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'tls', /put the certificate of that CA into caFile$/],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'tls', /put the certificate of that CA into caFile$/],
    ['CERT_HAS_EXPIRED', 'tls', /has expired/],
    [
      'ERR_SSL_WRONG_VERSION_NUMBER',
      'tls',
      /^the server answers, but not in TLS: is this its tls-port/,
    ],
    [
      'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
      'tls',
      /^the server refused the client certificate, or requires one/,
    ],
  ])('%s is of the kind %s', (code, kind, problem) => {
    const found = problemOf(systemError(code), terms);
    expect(found.kind).toBe(kind);
    if (typeof problem === 'string') expect(found.problem).toBe(problem);
    else expect(found.problem).toMatch(problem);
    expect(revealed(found)).not.toContain(secret);
  });

  test.each([
    ['Command timed out', 'timeout', 'no answer in time'],
    [
      "Socket timeout. Expecting data, but didn't receive any in 1000ms.",
      'timeout',
      'no answer in time',
    ],
    [
      "Stream isn't writeable and enableOfflineQueue options is false",
      'connection',
      'the connection was closed',
    ],
    ['Connection is closed.', 'connection', 'the connection was closed'],
    ['Command aborted due to connection close', 'connection', 'the connection was closed'],
    [
      'All sentinels are unreachable. Retrying from scratch after 10ms.',
      'connection',
      /^no sentinel names a master/,
    ],
    [
      'All sentinels are unreachable. Last error: WRONGPASS x',
      'authentication',
      /^the sentinels refuse the login/,
    ],
    ['Failed to refresh slots cache.', 'cluster', 'no node of the cluster answers'],
    ['None of startup nodes is available', 'cluster', 'no node of the cluster answers'],
  ])('%s is of the kind %s', (message, kind, problem) => {
    const found = problemOf(new Error(message), terms);
    expect(found.kind).toBe(kind);
    if (typeof problem === 'string') expect(found.problem).toBe(problem);
    else expect(found.problem).toMatch(problem);
  });

  test.each([
    'All sentinels are unreachable. Retrying from scratch after 10ms. Last error: connect EMFILE 192.0.2.1:26379 - Local (undefined)',
    'All sentinels are unreachable. Retrying from scratch after 10ms. Last error: getaddrinfo EBUSY sentinel.example.com',
  ])('is a local shortage when it prevents that any sentinel is asked: %s', (message) => {
    expect(problemOf(new Error(message), terms).kind).toBe('local');
  });

  test('is a local shortage when it prevents that any node of a cluster is asked', () => {
    const error = Object.assign(new Error('Failed to refresh slots cache.'), {
      lastNodeError: systemError('EMFILE'),
    });
    expect(problemOf(error, terms).kind).toBe('local');
    expect(
      problemOf(Object.assign(error, { lastNodeError: systemError('ECONNREFUSED') }), terms).kind,
    ).toBe('cluster');
  });

  test.each([
    [
      replyError('WRONGPASS x'),
      'no node of the cluster can be used: it refuses the username or the password, or the',
    ],
    [new Error('timeout'), 'no node of the cluster can be used: no answer in time'],
    [new Error('Connection is closed.'), 'no node of the cluster answers'],
  ])('of a cluster is the reason of the last node: %s', (lastNodeError, problem) => {
    const error = Object.assign(new Error('Failed to refresh slots cache.'), { lastNodeError });
    expect(problemOf(error, terms)).toEqual({
      kind: 'cluster',
      problem: expect.stringMatching(`^${problem}`),
    });
  });

  test('names the expected and the actual certificate', () => {
    const cert = { subjectaltname: 'DNS:other.example.com' };
    const error = Object.assign(systemError('ERR_TLS_CERT_ALTNAME_INVALID'), { cert });
    expect(problemOf(error, terms)).toEqual({
      kind: 'tls',
      problem: expect.stringContaining(
        'is not for redis.example.com but for DNS:other.example.com',
      ),
    });
  });

  test('that is a RedisProblem already stays as it is', () => {
    expect(problemOf(new RedisProblem('tls', 'as it was'), terms)).toEqual({
      kind: 'tls',
      problem: 'as it was',
    });
  });

  test.each([['text'], [undefined], [null], [7], [{ message: 'NOPERM' }]])(
    'that is no error is explained, too: %j',
    (thrown) => {
      expect(problemOf(thrown, terms)).toEqual({
        kind: 'server',
        problem: 'it failed in an unknown way',
      });
    },
  );
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
