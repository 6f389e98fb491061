import { join } from 'node:path';
import type { KeyPair } from './certificates.ts';
import { type LdifEntry, toLdif } from './ldif.ts';

export const suffix = 'dc=example,dc=com';

/** The account that may do everything. Only `add` and `modify` use it. */
export const managerDn: string = `cn=manager,${suffix}`;

export const serviceDn: string = `cn=gateway,ou=services,${suffix}`;

/** Password policies, for `pwdPolicySubentry` of a user. Without one, nothing expires and no account is locked. */
export const policies: Readonly<
  Record<'lockout' | 'expiry' | 'grace' | 'warning' | 'mustChange', string>
> = {
  /** Three wrong passwords lock the account forever. */
  lockout: `cn=lockout,ou=policies,${suffix}`,
  /** The password expires a day after `pwdChangedTime`. */
  expiry: `cn=expiry,ou=policies,${suffix}`,
  /** A policy like `expiry`, with a thousand grace logins. */
  grace: `cn=grace,ou=policies,${suffix}`,
  /** The password expires a year after `pwdChangedTime`; the warning comes from one second after it. */
  warning: `cn=warning,ou=policies,${suffix}`,
  /** The password must be changed, if the user has `pwdReset`. */
  mustChange: `cn=must-change,ou=policies,${suffix}`,
};

/** With `wantsCodes`: the parameters of codes, for `oathTOTPParams` of a user, who is then also their own `oathTOTPToken`. */
export const codes: { readonly dn: string; readonly window: number } = {
  dn: `cn=codes,ou=policies,${suffix}`,
  /** Codes of this number of steps (30 s) before and after now are accepted, each later than the last: tests need not wait for one. */
  window: 20,
};

/** The `description` of a user whose account state the service account is not allowed to read. */
export const locksHidden: string = 'locks-hidden';

export interface SlapdSettings {
  readonly folder: string;
  readonly certificate: KeyPair;
  readonly authorityFile: string;
  readonly managerPassword: string;
  readonly sizeLimit: number;
  readonly anonymousRead: boolean;
  readonly clientCertificates: 'never' | 'demand';
  readonly wantsCodes: boolean;
}

/** slapd.conf(5), which is easier to read than cn=config. */
export function slapdConfiguration(settings: SlapdSettings): string {
  return [
    ...['core', 'cosine', 'inetorgperson', 'nis'].map(
      (schema) => `include /etc/ldap/schema/${schema}.schema`,
    ),
    'modulepath /usr/lib/ldap',
    ...['back_mdb', 'memberof', 'ppolicy', ...(settings.wantsCodes ? ['otp'] : [])].map(
      (module) => `moduleload ${module}`,
    ),
    // As in Active Directory, a bind succeeds with a DN and an empty password, and with a password and an empty DN.
    'allow bind_anon_dn bind_anon_cred',
    `sizelimit ${settings.sizeLimit}`,
    `TLSCertificateFile ${settings.certificate.certificateFile}`,
    `TLSCertificateKeyFile ${settings.certificate.keyFile}`,
    `TLSCACertificateFile ${settings.authorityFile}`,
    `TLSVerifyClient ${settings.clientCertificates}`,
    'database mdb',
    `suffix ${suffix}`,
    `directory ${join(settings.folder, 'data')}`,
    'maxsize 268435456',
    // The data need not survive a crash of the machine.
    'dbnosync',
    `rootdn ${managerDn}`,
    `rootpw ${settings.managerPassword}`,
    'index objectClass,uid,cn,member,memberUid eq',
    'overlay memberof',
    // It is below ppolicy, which so counts wrong codes.
    ...(settings.wantsCodes ? ['overlay otp', 'access to attrs=oathSecret by * none'] : []),
    'overlay ppolicy',
    // By default, a locked user learns only that the password is wrong.
    'ppolicy_use_lockout',
    'access to attrs=userPassword by anonymous auth by * none',
    `access to filter=(description=${locksHidden}) attrs=pwdAccountLockedTime,pwdChangedTime by * none`,
    // Users read nothing: a search on the wrong connection finds no one.
    `access to * by dn.exact="${serviceDn}" read by anonymous ${settings.anonymousRead ? 'read' : 'none'} by * none`,
    '',
  ].join('\n');
}

/** The entries that exist before a test adds any. */
export function firstEntries(servicePassword: string, wantsCodes: boolean): string {
  return toLdif([
    { dn: suffix, attributes: { objectClass: ['domain'], dc: 'example' } },
    ...['people', 'groups', 'services', 'policies'].map(unit),
    {
      dn: serviceDn,
      attributes: {
        objectClass: ['device', 'simpleSecurityObject'],
        userPassword: servicePassword,
      },
    },
    policy(policies.lockout, { pwdLockout: 'TRUE', pwdMaxFailure: '3' }),
    policy(policies.expiry, { pwdMaxAge: '86400' }),
    policy(policies.grace, { pwdMaxAge: '86400', pwdGraceAuthNLimit: '1000' }),
    policy(policies.warning, { pwdMaxAge: '31536000', pwdExpireWarning: '31535999' }),
    policy(policies.mustChange, { pwdMustChange: 'TRUE' }),
    ...(wantsCodes ? [codeParameters] : []),
  ]);
}

const codeParameters: LdifEntry = {
  dn: codes.dn,
  attributes: {
    objectClass: ['device', 'oathTOTPParams'],
    oathOTPLength: '6',
    // HMAC with SHA-1, RFC 8018 appendix B.1.
    oathHMACAlgorithm: '1.2.840.113549.2.7',
    oathTOTPTimeStepPeriod: '30',
    oathTOTPTimeStepWindow: String(codes.window),
  },
};

function unit(name: string): LdifEntry {
  return { dn: `ou=${name},${suffix}`, attributes: { objectClass: 'organizationalUnit' } };
}

function policy(dn: string, attributes: LdifEntry['attributes']): LdifEntry {
  const common = { objectClass: ['device', 'pwdPolicy'], pwdAttribute: 'userPassword' };
  return { dn, attributes: { ...common, ...attributes } };
}
