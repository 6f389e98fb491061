import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { createPluginMetrics, renderMetrics } from './plugin-metrics.ts';

describe('the metrics of a plugin', () => {
  test('are prefixed with the plugin and labelled with the authenticator', async () => {
    const { metrics, registry } = createPluginMetrics('my-ldap', 'corp');
    const binds = metrics.counter({ name: 'binds_total', help: 'Binds.', labelNames: ['result'] });
    binds.inc({ result: 'ok' });
    binds.inc({ result: 'ok' }, 2);
    const text = await registry.metrics();
    expect(text).toContain('# TYPE sallyport_plugin_my_ldap_binds_total counter');
    expect(text).toContain(
      'sallyport_plugin_my_ldap_binds_total{result="ok",authenticator="corp"} 3',
    );
  });

  test('keep the value when the labels are left out', async () => {
    const { metrics, registry } = createPluginMetrics('ldap', 'corp');
    metrics.counter({ name: 'binds_total', help: 'Binds.' }).inc(undefined, 7);
    const open = metrics.gauge({ name: 'open', help: 'Open connections.' });
    open.set({}, 5);
    open.inc();
    open.dec(undefined, 4);
    const text = await registry.metrics();
    expect(text).toContain('sallyport_plugin_ldap_binds_total{authenticator="corp"} 7');
    expect(text).toContain('sallyport_plugin_ldap_open{authenticator="corp"} 2');
  });

  test('have histogram buckets from 50 µs to 10 s unless the plugin has its own', async () => {
    const { metrics, registry } = createPluginMetrics('ldap', 'corp');
    metrics.histogram({ name: 'a_seconds', help: 'A.' }).observe({}, 0.00004);
    metrics.histogram({ name: 'b_seconds', help: 'B.', buckets: [1, 2] }).observe({}, 1.5);
    const text = await registry.metrics();
    expect(text).toContain('a_seconds_bucket{le="0.00005",authenticator="corp"} 1');
    expect(text).toContain('a_seconds_bucket{le="10",authenticator="corp"} 1');
    expect(text).toContain('b_seconds_bucket{le="1",authenticator="corp"} 0');
    expect(text).toContain('b_seconds_bucket{le="2",authenticator="corp"} 1');
  });

  test('do not export an undefined label, and do not follow changes of an object of the plugin', async () => {
    const { metrics, registry } = createPluginMetrics('ldap', 'corp');
    const counter = metrics.counter({ name: 'x', help: 'X.', labelNames: ['a', 'b'] });
    const labels = { a: '1', b: undefined };
    counter.inc(labels as object);
    labels.a = '2';
    expect(await registry.metrics()).toContain(
      'sallyport_plugin_ldap_x{a="1",authenticator="corp"} 1',
    );
  });

  test.each([
    { case: 'a taken name', options: { name: 'taken', help: 'X.' }, reason: 'is already taken' },
    {
      case: 'a name that a histogram uses for its series',
      options: { name: 'times_count', help: 'X.' },
      reason: 'is already taken',
    },
    { case: 'an empty name', options: { name: '', help: 'X.' }, reason: 'letters, digits' },
    { case: 'a bad name', options: { name: 'a-b', help: 'X.' }, reason: 'letters, digits' },
    { case: 'no help', options: { name: 'a', help: '' }, reason: 'help' },
    {
      case: 'a bad label',
      options: { name: 'a', help: 'X.', labelNames: ['a-b'] },
      reason: 'the label "a-b"',
    },
    {
      case: 'a reserved label',
      options: { name: 'a', help: 'X.', labelNames: ['__a'] },
      reason: 'the label "__a"',
    },
    {
      case: 'the label authenticator',
      options: { name: 'a', help: 'X.', labelNames: ['authenticator'] },
      reason: 'is reserved',
    },
    {
      case: 'a label listed twice',
      options: { name: 'a', help: 'X.', labelNames: ['b', 'b'] },
      reason: 'twice',
    },
  ])('refuse $case, naming the plugin', ({ options, reason }) => {
    const { metrics } = createPluginMetrics('ldap', 'corp');
    metrics.counter({ name: 'taken', help: 'Taken.' });
    metrics.histogram({ name: 'times', help: 'Times.' });
    expect(() => metrics.counter(options)).toThrow(new RegExp(`plugin ldap: .*${reason}`));
  });

  test('refuse a histogram whose series would take a name that is taken', () => {
    const { metrics } = createPluginMetrics('ldap', 'corp');
    metrics.counter({ name: 'times_sum', help: 'X.' });
    expect(() => metrics.histogram({ name: 'times', help: 'X.' })).toThrow(
      'times_sum is already taken',
    );
  });

  test.each([
    { buckets: [] },
    { buckets: [1, 1] },
    { buckets: [2, 1] },
    { buckets: [1, Number.NaN] },
    { buckets: [1, Number.POSITIVE_INFINITY] },
  ])('refuse the buckets $buckets', ({ buckets }) => {
    const { metrics } = createPluginMetrics('ldap', 'corp');
    expect(() => metrics.histogram({ name: 'a', help: 'A.', buckets })).toThrow(
      'plugin ldap: buckets',
    );
  });

  test('refuse an unknown label when it is used, naming the plugin', () => {
    const { metrics } = createPluginMetrics('ldap', 'corp');
    const labels: object = { user: 'jane' };
    const counter = metrics.counter({ name: 'a', help: 'A.' });
    const histogram = metrics.histogram({ name: 'b', help: 'B.' });
    expect(() => counter.inc(labels)).toThrow('metric a of the plugin ldap');
    expect(() => histogram.observe({}, Number.NaN)).toThrow('metric b of the plugin ldap');
  });
});

describe('the exposition', () => {
  const use = (authenticator: string, role = 'a') => {
    const { metrics, registry } = createPluginMetrics('ldap', authenticator);
    metrics.counter({ name: 'binds_total', help: 'Binds.', labelNames: ['role'] }).inc({ role });
    metrics.gauge({ name: 'open', help: 'Open.' }).set({}, 3);
    metrics.histogram({ name: 'bind_seconds', help: 'Times.', buckets: [1] }).observe({}, 0.5);
    return registry;
  };
  const count = (text: string, line: string) =>
    text.split('\n').filter((one) => one === line).length;

  test('has each family of two authenticators once, with the series of both', async () => {
    const text = await renderMetrics(new Registry(), [use('corp'), use('partners')]);
    for (const [name, type] of [
      ['binds_total', 'counter'],
      ['open', 'gauge'],
      ['bind_seconds', 'histogram'],
    ]) {
      expect(count(text, `# TYPE sallyport_plugin_ldap_${name} ${type}`)).toBe(1);
      expect(text.split(`# HELP sallyport_plugin_ldap_${name} `)).toHaveLength(2);
    }
    for (const authenticator of ['corp', 'partners']) {
      expect(
        count(
          text,
          `sallyport_plugin_ldap_binds_total{role="a",authenticator="${authenticator}"} 1`,
        ),
      ).toBe(1);
      expect(count(text, `sallyport_plugin_ldap_open{authenticator="${authenticator}"} 3`)).toBe(1);
      expect(
        count(
          text,
          `sallyport_plugin_ldap_bind_seconds_bucket{le="+Inf",authenticator="${authenticator}"} 1`,
        ),
      ).toBe(1);
      expect(
        count(text, `sallyport_plugin_ldap_bind_seconds_sum{authenticator="${authenticator}"} 0.5`),
      ).toBe(1);
      expect(
        count(text, `sallyport_plugin_ldap_bind_seconds_count{authenticator="${authenticator}"} 1`),
      ).toBe(1);
    }
    expect(text.endsWith('\n')).toBe(true);
  });

  test('is the same at every scrape', async () => {
    const registries = [use('corp'), use('partners')];
    const first = await renderMetrics(new Registry(), registries);
    expect(await renderMetrics(new Registry(), registries)).toBe(first);
  });

  test("has the gateway's own metrics, including those that cannot be summed", async () => {
    const { Gauge } = await import('prom-client');
    const own = new Registry();
    new Gauge({ name: 'start', help: 'Start.', aggregator: 'omit', registers: [own] }).set(1);
    new Gauge({ name: 'lag', help: 'Lag.', aggregator: 'average', registers: [own] }).set(4);
    for (const text of [await renderMetrics(own, []), await renderMetrics(own, [use('corp')])]) {
      expect(count(text, 'start 1')).toBe(1);
      expect(count(text, 'lag 4')).toBe(1);
    }
  });

  test('escapes quotes, backslashes and line ends in labels', async () => {
    const text = await renderMetrics(new Registry(), [use('corp', 'a"b\\c\nd')]);
    expect(text).toContain('binds_total{role="a\\"b\\\\c\\nd",authenticator="corp"} 1');
  });

  test('exports a name as untyped where plugins disagree on its type, and loses no series', async () => {
    const one = createPluginMetrics('a', 'first');
    one.metrics.counter({ name: 'b_c', help: 'One.' }).inc();
    const other = createPluginMetrics('a-b', 'second');
    other.metrics.gauge({ name: 'c', help: 'Other.' }).set({}, 2);
    const text = await renderMetrics(new Registry(), [one.registry, other.registry]);
    expect(text.match(/# TYPE .*/g)).toEqual(['# TYPE sallyport_plugin_a_b_c untyped']);
    expect(count(text, 'sallyport_plugin_a_b_c{authenticator="first"} 1')).toBe(1);
    expect(count(text, 'sallyport_plugin_a_b_c{authenticator="second"} 2')).toBe(1);
  });
});
