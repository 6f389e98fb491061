import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { recordingContext } from './context.ts';

const { metrics } = fresh().context;

function fresh(baseDirectory = tmpdir()): ReturnType<typeof recordingContext> {
  return recordingContext({ pluginName: 'ldap', baseDirectory });
}

describe('watchFile', () => {
  async function folder(): Promise<AsyncDisposable & { readonly path: string }> {
    const made = await mkdtemp(path.join(tmpdir(), 'context-'));
    return { path: made, [Symbol.asyncDispose]: () => rm(made, { recursive: true }) };
  }

  test('loads a file relative to the base folder now, and again at a touch', async () => {
    await using directory = await folder();
    const file = path.join(directory.path, 'tokens');
    await writeFile(file, 'one');
    const { context, touch, ...recording } = fresh(directory.path);
    const loaded: string[] = [];
    await context.watchFile('tokens', (content) => void loaded.push(content.toString()));
    await writeFile(file, 'two');
    expect(loaded).toEqual(['one']);
    expect(await touch()).toEqual([]);
    expect(await touch(Buffer.from('three'))).toEqual([]);
    expect(loaded).toEqual(['one', 'two', 'three']);
    expect(recording.watchedFiles).toEqual([file]);
  });

  test('throws what the first load throws, and that the file is missing', async () => {
    await using directory = await folder();
    await writeFile(path.join(directory.path, 'bad'), '');
    const { context, watchedFiles } = fresh(directory.path);
    const load = () => Promise.reject(new Error('no tokens'));
    await expect(context.watchFile('bad', load)).rejects.toThrow('no tokens');
    await expect(context.watchFile('missing', load)).rejects.toThrow('ENOENT');
    expect(watchedFiles).toEqual([]);
  });

  test('a later load that throws is logged with the file, and given back', async () => {
    await using directory = await folder();
    await writeFile(path.join(directory.path, 'tokens'), 'good');
    const { context, lines, touch } = fresh(directory.path);
    const error = new Error('line 3: no digest');
    await context.watchFile('tokens', (content) => {
      if (content.toString() !== 'good') throw error;
    });
    expect(await touch(Buffer.from('bad'))).toEqual([error]);
    const fields = { file: path.join(directory.path, 'tokens'), error };
    expect(lines).toEqual([
      { level: 'error', fields, message: 'what was loaded last stays in force' },
    ]);
  });
});

describe('attempts', () => {
  test('are admitted, and recorded with the first outcome but without the secret', async () => {
    const { context, attempts } = fresh();
    const attempt = await context.attempts.admit('uid=alice', 'a password');
    expect(attempts).toEqual([{ subject: 'uid=alice', admitted: true }]);
    if (attempt.admitted) {
      await attempt.settle('refused');
      await attempt.settle('accepted');
    }
    expect(attempts).toEqual([{ subject: 'uid=alice', admitted: true, outcome: 'refused' }]);
  });

  test('are denied for the reason asked for', async () => {
    const { context, attempts } = recordingContext({
      pluginName: 'ldap',
      baseDirectory: tmpdir(),
      deny: 'throttled',
    });
    expect(await context.attempts.admit('alice', 'x')).toEqual({
      admitted: false,
      reason: 'throttled',
    });
    expect(attempts).toEqual([{ subject: 'alice', admitted: false }]);
  });
});

describe('metrics', () => {
  test('are recorded under the name that the gateway exports, with their labels', () => {
    const { context, metrics: recorded } = fresh();
    const binds = context.metrics.counter({
      name: 'binds_total',
      help: 'Binds.',
      labelNames: ['result'],
    });
    binds.inc({ result: 'ok' });
    binds.inc({ result: 'refused' }, 2);
    context.metrics.gauge({ name: 'connections', help: 'Connections.' }).set({}, 3);
    context.metrics
      .histogram({ name: 'bind_seconds', help: 'Seconds.', buckets: [0.1, 1] })
      .observe({}, 0.2);
    expect(recorded.map(({ name }) => name)).toEqual([
      'sallyport_plugin_ldap_binds_total',
      'sallyport_plugin_ldap_connections',
      'sallyport_plugin_ldap_bind_seconds',
    ]);
    expect(recorded[0]?.labels).toEqual([{ result: 'ok' }, { result: 'refused' }]);
  });

  test.each(['', '1st_total', 'binds-total', 'bïnds'])('the name %j is refused', (name) => {
    expect(() => metrics.counter({ name, help: 'Help.' })).toThrow('is not a metric name');
  });

  test.each(['__name', 'user-name', ''])('the label name %j is refused', (label) => {
    expect(() => metrics.gauge({ name: 'some', help: 'Help.', labelNames: [label] })).toThrow(
      'is not a label name',
    );
  });

  test.each(['authenticator', 'le', 'quantile'])(
    'the label name %s is refused as reserved',
    (label) => {
      expect(() => metrics.gauge({ name: 'some', help: 'Help.', labelNames: [label] })).toThrow(
        'is reserved',
      );
    },
  );

  test('no help, a taken name and buckets that do not ascend are refused', () => {
    const context = fresh().context;
    expect(() => context.metrics.gauge({ name: 'some', help: ' ' })).toThrow('has no help');
    context.metrics.gauge({ name: 'twice', help: 'Help.' });
    expect(() => context.metrics.counter({ name: 'twice', help: 'Help.' })).toThrow(
      'exists already',
    );
    expect(() => context.metrics.histogram({ name: 'h', help: 'Help.', buckets: [1, 1] })).toThrow(
      'must ascend',
    );
  });

  test('a label that was not declared and a counter that goes down are refused', () => {
    const counter = fresh().context.metrics.counter({
      name: 'binds_total',
      help: 'Binds.',
      labelNames: ['result'],
    });
    expect(() => counter.inc({ user: 'alice' } as never)).toThrow('has no label user');
    expect(() => counter.inc({ result: 'ok' }, -1)).toThrow("can't go down");
    expect(() => counter.inc({ result: 'ok' }, Number.NaN)).toThrow("can't go down");
  });
});

test('what is logged is recorded with its level', () => {
  const { context, lines } = fresh();
  context.logger.warn({ url: 'ldaps://a' }, 'no answer');
  expect(lines).toEqual([{ level: 'warn', fields: { url: 'ldaps://a' }, message: 'no answer' }]);
});
