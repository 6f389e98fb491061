import { rejectionReasons } from '@sallyport/authenticator';
import { cases } from '@sallyport/authenticator/conformance-cases';
import { http1Client, review } from '@sallyport/test/clients';
import { codeBlocksOf } from '@sallyport/test/documents';
import { startGateway } from '@sallyport/test/gateway';
import { startScriptedBackend } from '@sallyport/test/scripted-backend';
import { randomToken } from '@sallyport/test-servers/tokens';
import { describe, expect, test } from 'vitest';
import { readPage } from './testing/pages.ts';

const guide = await readPage('packages/authenticator/README.md');

describe('the guide for authors of plugins', () => {
  test('says how many conformance cases each ability has', () => {
    const rows = [...guide.matchAll(/^- `(\w+)` \((\d+)\)/gm)].map(([, group, count]) => [
      group,
      Number(count),
    ]);
    expect(rows).toEqual(Object.entries(cases).map(([group, { length }]) => [group, length]));
  });

  test('explains every reason of a refusal', () => {
    const list = /^- `reason` .*?\n\n(.*?)\n\n/ms.exec(guide)?.[1] ?? '';
    const words = [...list.matchAll(/^- (.*?):/gm)].flatMap(([, reasons = '']) => [
      ...reasons.matchAll(/`([\w-]+)`/g),
    ]);
    expect(words.map(([, word]) => word).sort()).toEqual([...rejectionReasons].sort());
  });

  test('has one picture, and a title for each other block', () => {
    const blocks = codeBlocksOf(guide).filter(({ language }) => language === '');
    expect(blocks.map(({ text }) => text)).toEqual([expect.stringContaining('recognizes(token)?')]);
  });

  test('names the option of npm create with which it is tested', () => {
    expect(guide).toContain('`-- --language js` writes JavaScript');
  });

  test('shows the status that kube-apiserver gets for each decision', async () => {
    const rows = [...guide.matchAll(/^\| `(\{.*\})` \| `(\{.*\})` \|$/gm)].map(
      ([, decision = '', status = '']) => ({
        decision: JSON.parse(decision),
        status: JSON.parse(status),
        token: randomToken(),
      }),
    );
    expect(rows.length).toBeGreaterThan(6);
    const backend = await startScriptedBackend();
    for (const { decision, token } of rows) {
      const thrown = { kind: 'throw', code: decision.throws };
      backend.answer(token, decision.throws ? thrown : decision);
    }
    await using gateway = await startGateway({
      config: { authenticators: [backend.authenticator('wire')] },
    });
    using client = http1Client(gateway.url);
    const answers = await Promise.all(rows.map(({ token }) => review(client, token)));
    expect(answers).toEqual(rows.map(({ status }) => status));
  });
});
