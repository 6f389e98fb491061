import type { LoginConfig, SecondFactorConfig } from '../../config/types.ts';
import type { Session } from '../../engine/sessions/session-text.ts';

/** Decides who must have a second factor. */
export type FactorPolicy = ReturnType<typeof createFactorPolicy>;

/** The part of `login` that says who has a second factor. */
interface FactorRules extends Pick<LoginConfig, 'authenticators'> {
  readonly secondFactor?: Pick<SecondFactorConfig, 'required' | 'authenticators'>;
}

/** The part of a session that says how its user logged in. */
type LoginMethod = Pick<Session, 'authenticator' | 'provider' | 'amr'>;

/** Whether the rules about second factors accept a session. */
export type FactorState =
  | 'good'
  | 'good, unless a second factor is required'
  | 'lacks a second factor';

/** How a second factor is named in `amr` of a session (RFC 8176, section 2). */
export const multipleFactors = 'mfa';

/** Whether a login had a second factor. A user of a provider has the factors of the provider. */
export function hadFactor({ provider, amr }: Pick<LoginMethod, 'provider' | 'amr'>): boolean {
  return provider !== undefined || amr?.includes(multipleFactors) === true;
}

/** Makes the rules of `login.secondFactor`. Without that section, no one needs a second factor. */
export function createFactorPolicy({ secondFactor, authenticators }: FactorRules) {
  const { required = 'none', authenticators: named = authenticators } = secondFactor ?? {};
  const covered = new Set(secondFactor === undefined ? [] : named);
  const groupsWithFactor = new Set(typeof required === 'string' ? [] : required.groups);

  /** @param groups as Kubernetes sees them */
  function isRequired(authenticator: string, groups: readonly string[] = []): boolean {
    if (!covered.has(authenticator) || required === 'none') return false;
    return required === 'all' || groups.some((group) => groupsWithFactor.has(group));
  }
  const isMissing = (login: LoginMethod, groups: readonly string[] = []): boolean =>
    !hadFactor(login) && isRequired(login.authenticator, groups);
  return {
    /** Whether the users of an authenticator can have a second factor. */
    isCovered: (authenticator: string) => covered.has(authenticator),
    isRequired,
    /**
     * Whether a login lacks the second factor that its user must have now.
     *
     * @param groups as Kubernetes sees them
     */
    isMissing,
    /**
     * Says whether reviews refuse a session because its login lacks a second factor.
     *
     * @param groups as Kubernetes sees them. Undefined: the groups of the user are not known
     */
    findState(login: LoginMethod, groups: readonly string[] | undefined): FactorState {
      if (isMissing(login, groups)) return 'lacks a second factor';
      const dependsOnGroups = groups === undefined && isMissing(login, [...groupsWithFactor]);
      return dependsOnGroups ? 'good, unless a second factor is required' : 'good';
    },
  };
}
