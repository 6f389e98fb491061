import type { CaseDefinition } from './case-definition.ts';
import { wholeUser } from './decision-shape.ts';
import { verify } from './verdict.ts';

/** No text, no YAML, no CSV, no JSON, no PEM: nobody can have meant this. */
const garbage = Buffer.from([0xff, 0xfe, 0x00, 0x9f, 0x7b, 0x22, 0x0a, 0xc3, 0x28, 0x00, 0x2d, 0x3a, 0x5b]);

const lastGoodKept: CaseDefinition = {
  name: 'a watched file that turns to garbage is refused, and what was loaded stays in force',
  async run(kit) {
    const authenticator = await kit.create();
    const [recording] = kit.recordings;
    const count = recording?.watchedFiles.length ?? 0;
    verify(count > 0 === kit.harness.watchesFiles, {
      expected: `${kit.harness.watchesFiles ? 'a file' : 'no file'} to be watched, as the harness says`,
      got: `${count} are`,
      why: 'A file that is read in another way is not looked at again when it changes.',
    });
    const errors = (await recording?.touch(garbage)) ?? [];
    verify(errors.length === count, {
      expected: 'load() to throw on bytes that are no text',
      got: `${count - errors.length} of ${count} files took them`,
      why: 'A bad edit that nobody is told of comes out at the next restart.',
    });
    for (const named of kit.tokens.valid) {
      const decision = await kit.ask(authenticator, named);
      verify(decision.kind === 'authenticated' && wholeUser(decision.user) === wholeUser(named.user), {
        expected: `${named.name} to authenticate after a bad edit, as the same user`,
        got: `the answer was ${kit.tell(decision)}`,
        why: 'A slip in an editor must not lock everybody out: take effect only when all of the file is well.',
      });
    }
  },
};

export const watchedFilesCases: readonly CaseDefinition[] = [lastGoodKept];
