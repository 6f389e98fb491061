import type { UserInfo } from '../decision.ts';
import type { CaseDefinition } from './case-definition.ts';
import { wholeUser } from './decision-shape.ts';
import type { NamedToken } from './hostile-tokens.ts';
import type { Kit } from './kit.ts';
import { verifyTwoUsers } from './samples.ts';
import { verify } from './verdict.ts';

const callsAtOnce = 150;

const identitiesApart: CaseDefinition = {
  name: `${callsAtOnce} calls at once keep identities apart`,
  async run(kit) {
    const authenticator = await kit.create();
    const questions = await manyQuestions(kit);
    const decisions = await Promise.all(questions.map(({ named }) => kit.ask(authenticator, named)));
    for (const [index, { named, user }] of questions.entries()) {
      const decision = decisions[index];
      const given = decision?.kind === 'authenticated' ? wholeUser(decision.user) : undefined;
      verify(given === (user && wholeUser(user)), {
        expected: `call ${index + 1}, with ${named.name}, to ${user ? `authenticate as ${user.username}` : 'be refused'}`,
        got: `the answer was ${kit.tell(decision)}`,
        why: 'What one call keeps outside of itself, another call reads: somebody gets the rights of somebody else.',
      });
    }
  },
};

interface Question {
  readonly named: NamedToken;
  /** Undefined for a token that must be refused. */
  readonly user: UserInfo | undefined;
}

/** Good and bad tokens in turn, so that the answer to a good one may slip to a bad one. */
async function manyQuestions({ harness, tokens }: Kit): Promise<readonly Question[]> {
  const many = await harness.manyTokens?.(callsAtOnce);
  if (many !== undefined) verifyTwoUsers(many);
  const valid = many?.map((one, index) => ({ ...one, name: `token ${index + 1} of many` })) ?? tokens.valid;
  const good = valid.map(({ name, token, user }) => ({ named: { name, token }, user }));
  const bad = tokens.rejected.map((named) => ({ named, user: undefined }));
  return Array.from({ length: callsAtOnce }, (_, index) => {
    const pool: readonly Question[] = bad.length > 0 && index % 5 === 4 ? bad : good;
    return pool[index % pool.length] as Question;
  });
}

export const concurrencyCases: readonly CaseDefinition[] = [identitiesApart];
