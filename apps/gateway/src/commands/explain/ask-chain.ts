import type { GatewayConfig } from '../../config/types.ts';
import { type Answer, ChainError } from '../../engine/chain/chain.ts';
import type { ReviewResult } from '../../review/token-review.ts';
import type { Generation } from '../../runtime/generation.ts';
import { createTrace, type ExplainTrace } from './explain-trace.ts';

/** What the chain of the config answered, and how it came to that. */
export interface ExplainedAnswer {
  readonly result: ReviewResult;
  readonly answers: readonly Answer[];
  readonly trace: ExplainTrace;
  /**
   * The audiences of which kube-apiserver must ask for one to get this answer. It refuses the token otherwise, and what it asks
   * for is not known. Undefined: the answer does not depend on that.
   */
  readonly condition?: readonly string[];
}

/**
 * Asks the chain about a token as kube-apiserver does.
 *
 * @param optionAudiences the audiences of the command line. Undefined: there are none, so the answer may depend on what kube-apiserver
 *   asks for. Then the token is asked for its own audiences
 * @param likelyAudiences the audiences that are tried first in that case
 */
export async function askChain(
  { authenticate }: Pick<Generation, 'authenticate'>,
  config: GatewayConfig,
  token: string,
  optionAudiences: readonly string[] | undefined,
  likelyAudiences: readonly string[],
): Promise<ExplainedAnswer> {
  const answer = await askOnce(authenticate, config, token, optionAudiences ?? likelyAudiences);
  if (optionAudiences !== undefined) return answer;
  const { result } = answer;
  const { apiAudiences } = config.server;
  const isMismatch = result.kind === 'rejected' && result.reason === 'audience-mismatch';
  if (!isMismatch || apiAudiences.length > 0 || !result.audiences?.length)
    return withCondition(answer, apiAudiences);
  // If it is refused even then, it is refused whatever kube-apiserver asks for.
  return withCondition(await askOnce(authenticate, config, token, result.audiences), apiAudiences);
}

function withCondition(answer: ExplainedAnswer, apiAudiences: readonly string[]): ExplainedAnswer {
  const audiences = answer.result.kind === 'authenticated' ? answer.result.audiences : undefined;
  const isCertain =
    audiences === undefined || audiences.some((audience) => apiAudiences.includes(audience));
  return isCertain ? answer : { ...answer, condition: audiences };
}

async function askOnce(
  authenticate: Generation['authenticate'],
  config: GatewayConfig,
  token: string,
  audiences: readonly string[],
): Promise<ExplainedAnswer> {
  const answers: Answer[] = [];
  const trace = createTrace(config);
  try {
    const result = await authenticate(token, {
      audiences,
      signal: AbortSignal.timeout(config.server.reviewTimeout),
      onAnswer: (answer) => answers.push(answer),
      observer: trace,
    });
    return { result, answers, trace };
  } catch (error) {
    if (!(error instanceof ChainError)) throw error;
    const { message, authenticators } = error;
    return { result: { kind: 'error', message, authenticators }, answers, trace };
  }
}
