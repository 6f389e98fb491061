import { createJwtIssuer } from '@sallyport/test-servers/jwt-issuer';
import { staticAuthenticator } from '@sallyport/test-servers/static-tokens';
import { randomToken, sha256 } from '@sallyport/test-servers/tokens';
import { stringify } from 'yaml';
import { reviewBody } from '../testing/token-review.ts';
import { directoryAccess } from './backends.ts';
import { type GatewayCase, type Place, tokenCount } from './contender.ts';
import { metric } from './gateway.ts';

/** How an authenticator knows the groups of its users: by itself, or from a directory that is cached, or asked each time. */
type Source = 'own' | 'cached' | 'asked';

/** Users of the directory with static tokens. */
export async function joinedStaticCase(place: Place, source: Source): Promise<GatewayCase> {
  const { people, rest } = await joined(place, source);
  const tokens = people.map(({ name, groups }) => ({ token: randomToken(), name, groups }));
  const entries = tokens.map(({ token, name, groups }) => ({
    sha256: sha256(token),
    username: name,
    ...groups,
  }));
  return {
    ...rest,
    config: rest.configOf(staticAuthenticator),
    files: { ...rest.files, 'tokens.yaml': stringify({ tokens: entries }) },
    questions: tokens.map(({ token, name }) => ({ body: reviewBody(token), username: name })),
  };
}

/** Users of the directory with JWTs, which are cached in memory. */
export async function joinedJwtCase(place: Place, source: Source): Promise<GatewayCase> {
  const { people, rest } = await joined(place, source);
  const issuer = createJwtIssuer();
  const exp = Math.floor(Date.now() / 1000) + 86_400;
  const cache = { store: 'memory', authenticatedTtl: '24h' };
  const audiences = ['kubernetes'];
  return {
    ...rest,
    config: {
      ...rest.configOf(issuer.authenticator({ cache, username: {}, groups: {} })),
      server: { apiAudiences: audiences },
    },
    files: { ...rest.files, ...issuer.files },
    questions: people.map(({ name, groups }) => ({
      body: reviewBody(issuer.token({ sub: name, exp, ...groups })),
      username: name,
    })),
  };
}

async function joined({ backends }: Place, source: Source) {
  const facts = await backends.directory();
  const { options, files } = directoryAccess(facts);
  const corp = { name: 'corp', use: 'ldap', options };
  const directory = { authenticator: 'corp', refresh: '1h' };
  // The answers are as long as those with a directory, in which each person is in one group.
  const people = facts.people.map(({ name }) => ({
    name,
    groups: source === 'own' ? { groups: ['team-1'] } : {},
  }));
  // In each turn all people are asked about in the same order, so a cache of a few of them never has the next one.
  const memory = { maxEntries: 100 };
  return {
    people: source === 'asked' ? people : people.slice(0, tokenCount),
    rest: {
      configOf: (one: object): GatewayCase['config'] => ({
        authenticators: [source === 'own' ? one : { ...one, directory }, corp],
        ...(source === 'asked' && { cache: { memory } }),
      }),
      files,
      ...(source !== 'own' && { verify: (adminUrl: string) => verifySearches(adminUrl, source) }),
    },
  };
}

/** The maximum number of searches for one user, with room for those of probes. */
const maxSearches = 6;

/** Checks that the directory was asked about each user once, or at each review. */
async function verifySearches(adminUrl: string, source: Source): Promise<void> {
  const searches = await metric(adminUrl, 'sallyport_plugin_ldap_searches_total', [
    'result="success"',
  ]);
  const reviews = await metric(adminUrl, 'sallyport_token_reviews_total');
  const isRight = source === 'asked' ? searches > reviews : searches <= tokenCount * maxSearches;
  if (!isRight) throw new Error(`${searches} searches for ${reviews} reviews`);
}
