import type { RecordedAttempt } from '../context.ts';
import { authenticatorCase, type CaseDefinition, type Kit } from '../kit.ts';
import { verify } from '../verify.ts';

const whyGuard =
  "Without the guard, any caller who knows a name can lock its owner out, at the directory's own limit.";

type Outcomes = readonly RecordedAttempt['outcome'][];

function listAttempts({ recordings }: Kit): readonly RecordedAttempt[] {
  return recordings.flatMap(({ attempts }) => attempts);
}

function mustBeSettled(kit: Kit, moment: string, allowed: Outcomes, from = 0): void {
  const unsettled = listAttempts(kit)
    .slice(from)
    .find(({ outcome }) => !allowed.includes(outcome));
  verify(unsettled === undefined, {
    expected: `each attempt to be settled as ${allowed.join(' or ')} ${moment}`,
    actual: `one is ${unsettled?.outcome ?? 'not settled'}`,
    rationale:
      'A slot that is not freed counts as a refusal: soon the user is throttled for nothing, or a guesser is not.',
  });
}

export const attemptsCases: readonly CaseDefinition[] = [
  authenticatorCase(
    'context.attempts is asked before a password goes out, and only then',
    async (kit, authenticator) => {
      for (const named of kit.tokens.valid) {
        const countBefore = listAttempts(kit).length;
        await kit.ask(authenticator, named);
        const count = listAttempts(kit).length - countBefore;
        const { sendsPasswords } = kit.harness;
        verify(count > 0 === sendsPasswords, {
          expected: `${sendsPasswords ? 'an attempt' : 'no attempt'} to be asked for with ${named.name}, as the harness says`,
          actual: `${count} were`,
          rationale: whyGuard,
        });
      }
    },
  ),
  authenticatorCase(
    'every attempt that is admitted is settled with what came of it',
    async (kit, authenticator) => {
      for (const named of kit.tokens.valid) {
        await kit.ask(authenticator, named);
        mustBeSettled(kit, `after ${named.name} was accepted`, ['accepted']);
      }
      for (const rejected of kit.tokens.rejected) {
        const countBefore = listAttempts(kit).length;
        await kit.ask(authenticator, rejected);
        // Directories differ on the right password of a locked or expired account: some accept it, some do not look at it.
        const allowed: Outcomes =
          rejected.reason === 'invalid-credentials'
            ? ['refused']
            : ['refused', 'accepted', 'unavailable'];
        mustBeSettled(kit, `after ${rejected.name} was refused`, allowed, countBefore);
      }
    },
  ),
  authenticatorCase(
    'an attempt during an outage is settled as unavailable or unanswered',
    async (kit, authenticator) => {
      await kit.backend().stop();
      for (const named of kit.tokens.valid) {
        await kit.outcome(authenticator, named);
        // A connection of before the outage may have taken the password and then ended.
        const allowed: Outcomes = ['unavailable', 'unanswered'];
        mustBeSettled(kit, `after ${named.name} met a stopped backend`, allowed);
      }
    },
    { needsBackend: true },
  ),
  {
    name: 'a denied attempt is a refusal with the reason of the denial',
    async run(kit) {
      for (const deny of ['throttled', 'invalid-credentials'] as const) {
        const authenticator = await kit.create({ deny });
        for (const named of kit.tokens.valid) {
          const countBefore = listAttempts(kit).length;
          const decision = await kit.ask(authenticator, named);
          if (listAttempts(kit).length === countBefore && !kit.harness.sendsPasswords) continue;
          verify(decision.kind === 'rejected' && decision.reason === deny, {
            expected: `${named.name} to be rejected as ${deny}, since the attempt was denied`,
            actual: `the answer was ${kit.show(decision)}`,
            rationale: whyGuard,
          });
        }
      }
    },
  },
];
