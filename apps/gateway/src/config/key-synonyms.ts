/** A key that is meant if it is known in the place; with what to write, such as `listen: 127.0.0.1:8443`; or with another fix. */
type Meaning = string | readonly [key: string, fix: string];

const tlsFiles = 'the files caFile, certFile and keyFile are next to it';
const issuer = 'issuer: { url: https://idp.example.com, audiences: [kubernetes] }';
const issuers = `issuers: [{ ${issuer}, claimMappings: { username: { claim: sub } } }]`;
const tls = 'tls: { certFile: tls/server.crt, keyFile: tls/server.key }';
const foundKeys =
  'remove it: the keys are where the discovery document of the issuer says. If there is none, write issuer.jwksFile: keys/idp.json';
const callback =
  'remove it: it is login.publicUrl + /login/callback/NAME. Register that at the provider';
const noBypass = 'remove it: certificates are always checked';

/** Words of other programs in this field, each with its meanings here. The first meaning whose key is known in the place applies. */
const rows: readonly (readonly [words: string, ...Meaning[]])[] = [
  [
    'host hostname port address addresses addr bind server servers hosts uri url urls nodes endpoint endpoints',
    ['sentinels', 'write url: rediss://redis.example.com:6379'],
    'urls: [ldaps://ldap.example.com]',
    'url: https://backend.example.com',
    'endpoint: http://otel-collector:4318/v1/traces',
    'server: https://prod.example.com:6443',
    ['claimMappings', `write ${issuer}`],
    ['clientId', 'did you mean issuer?'],
    issuers,
    ['statusPage', 'write listen: 127.0.0.1:8081'],
    [
      'memory',
      'write redis: { url: rediss://redis.example.com:6379, sealingKeys: [{ file: secrets/sealing-key }] }',
    ],
    ['onError', 'write it in options, as url or urls'],
    ['publicUrl', 'write publicUrl: https://login.example.com:8444, and listen: :8444'],
    ['listen', 'write listen: 127.0.0.1:8443, or listen: :8443 for all interfaces'],
  ],
  ['apiserver apiserverurl', 'server: https://prod.example.com:6443'],
  ['externalurl baseurl loginurl hosturl', 'publicUrl: https://login.example.com:8444'],
  [
    'tls ssl usetls usessl tlsenabled sslenabled secure https',
    ['sentinels', `write the url with rediss://: ${tlsFiles}`],
    ['urls', `write urls with ldaps://: ${tlsFiles}`],
    ['url', `write the url with https://: ${tlsFiles}`],
    ['onError', 'write the scheme of TLS in options: ldaps://, rediss:// or https://'],
    ['statusPage', 'remove it: this port has no TLS. Keep listen on 127.0.0.1'],
  ],
  [
    'cert certificate crt pem tlscert tlscertfile servercert clientcert certpath certfile',
    'certFile',
    tls,
  ],
  ['key privatekey tlskey tlskeyfile serverkey clientkey keypath keyfile', 'keyFile', tls],
  [
    'ca cafile cacert cacertfile cacertificate capath rootca trustedca clientca',
    'caFile',
    'clientCAFile',
    'certificateAuthorityFile',
  ],
  [
    'cabundle cadata certificateauthority certificateauthoritydata',
    'caFile: tls/ca.crt',
    'clientCAFile: tls/client-ca.crt',
    'certificateAuthorityFile: tls/idp-ca.crt',
  ],
  [
    'insecure insecureskipverify insecureskiptlsverify insecuretls insecurenossl skipverify skiptlsverify tlsskipverify verify verifytls verifyssl tlsverify sslverify rejectunauthorized',
    ['caFile', `${noBypass}. Write caFile: tls/ca.crt with the CA that signed it`],
    ['certificateAuthorityFile', `${noBypass}. Write certificateAuthorityFile with its CA`],
  ],
  ['allowednames names commonnames clients allowedcns cn', 'clientNames: [kube-apiserver]'],
  ['tlsminversion mintlsversion tlsversion', 'minVersion'],
  // Redis
  ['db dbindex dbnumber redisdb', 'database'],
  ['mastername master masterset', ['sentinels', 'write name: mymaster']],
  ['user userid login acluser username', 'username', 'dn'],
  [
    'pass passwd pw secret auth authpass requirepass token bearertoken apikey authorization',
    'password: { file: secrets/password }',
    'bearer: { file: secrets/webhook-token }',
    'clientSecret: { file: secrets/client-secret }',
  ],
  [
    'encryptionkey encryptionkeys secretkey secretkeys',
    'sealingKeys: [{ file: secrets/sealing-key }]',
  ],
  [
    'prefix prefixes namespace',
    'keyPrefix',
    'recognizes: { prefixes: [k8s-aws-v1.] }',
    ['tokenPrefix', 'write tokenPrefix; for names, username: { prefix: "corp:" } next to use'],
  ],
  // LDAP
  [
    'binddn binduser bindusername managerdn rootdn serviceaccount',
    'dn',
    'bind: { dn: "cn=sallyport,dc=example,dc=com", password: { file: secrets/ldap-password } }',
  ],
  [
    'bindpassword bindpw bindpass bindcredentials managerpassword',
    'password: { file: secrets/ldap-password }',
    'bind: { dn: "cn=sallyport,dc=example,dc=com", password: { file: secrets/ldap-password } }',
  ],
  [
    'base basedn searchbase searchbasedn userbase userbasedn usersearchbase userdn usersdn peoplebase',
    'base',
    'user: { base: "ou=people,dc=example,dc=com", filter: "(uid={username})" }',
  ],
  [
    'filter userfilter usersearchfilter searchfilter usersearch loginfilter',
    'filter',
    'user: { base: "ou=people,dc=example,dc=com", filter: "(uid={username})" }',
  ],
  [
    'groupbase groupbasedn groupdn groupsdn groupsearchbase groupfilter groupsearchfilter groupsearch',
    'groups: { base: "ou=groups,dc=example,dc=com", filter: "(member={dn})" }',
  ],
  [
    'userattr userattribute usernameattr usernameattribute uidattribute idattribute',
    'username',
    'attributes: { username: uid }',
    'user: { base: "ou=people,dc=example,dc=com", filter: "(uid={username})", attributes: { username: uid } }',
  ],
  [
    'groupattr groupattribute groupnameattr groupnameattribute nameattr nameattribute',
    ['maxGroups', 'write name: cn'],
    'attributes: { username: uid }',
    'groups: { …, name: cn }',
  ],
  ['memberof membershipattribute', 'attribute: memberOf', 'groups: { attribute: memberOf }'],
  ['recursive transitive nestedgroups', 'nested'],
  ['usestarttls', 'startTLS'],
  ['connectionpool poolsize', 'pool: { max: 10 }'],
  ['objectclass', 'filter: "(&(objectClass=person)(uid={username}))"'],
  ['emailattribute mailattribute', 'attributes: { username: uid, email: mail }'],
  ['groups', ['extra', 'write groups: { attribute: memberOf } next to user']],
  // OpenID Connect
  [
    'iss issuer issuerurl issueruri',
    'url: https://idp.example.com',
    ['claimMappings', `write ${issuer}`],
    'issuer',
    issuers,
  ],
  [
    'jwksuri jwksurl jwks jwkseturi keysurl keyurl',
    ['discoveryURL', foundKeys],
    ['claimMappings', foundKeys],
    issuers,
  ],
  [
    'audience audiences aud clientid apiaudience',
    'audiences: [kubernetes]',
    ['claimMappings', `write ${issuer}`],
    'apiAudiences',
    'audience',
    'clientId',
    ['tracing', 'write server: { apiAudiences: [https://kubernetes.default.svc.cluster.local] }'],
    issuers,
  ],
  [
    'usernameclaim userclaim groupsclaim groupclaim claims',
    'claimMappings: { username: { claim: sub }, groups: { claim: groups } }',
    issuers,
  ],
  [
    'usernameprefix groupsprefix groupprefix',
    'claimMappings: { username: { claim: sub, prefix: "corp:" } }',
    'username: { prefix: "corp:" } and groups: { prefix: "corp:" }',
  ],
  [
    'requiredclaim requiredclaims',
    'claimValidationRules: [{ claim: hd, requiredValue: example.com }]',
  ],
  ['signingalgs signingalgorithms algs alg', 'algorithms'],
  ['clockskew skew leeway', 'clockTolerance'],
  [
    'redirecturi redirecturis redirecturl callbackurl callback',
    ['clientSecret', callback],
    ['publicUrl', callback],
  ],
  ['discoveryurl', 'issuer'],
  ['displayname label', 'title'],
  [
    'oidc oauth oauth2 sso idp identityprovider',
    'providers: { okta: { authenticator: corp, clientId: sallyport } }',
  ],
  [
    'allowedgroups requiredgroups',
    [
      'publicUrl',
      'remove it: RBAC decides what a group may do. To drop groups, write groups.allow at the authenticator',
    ],
  ],
  // Limits and times
  [
    'maxattempts attempts threshold limit failures maxtries maxretries max',
    'maxFailures',
    'minimumCalls',
    'maxEntries',
  ],
  ['size maxsize maxitems entries', 'maxEntries', 'memory: { maxEntries: 50000 }'],
  [
    'duration period interval lockouttime lockoutduration lockduration',
    'window',
    'openFor',
    'refresh',
  ],
  [
    'ttl expiry expiration expires expiresin lifetime duration maxage sessionttl sessionduration sessionlifetime tokenttl',
    'ttl',
    'authenticatedTtl',
    'maxTokenAge',
    ['onError', 'write cache: { authenticatedTtl: 5m }'],
    'refresh',
  ],
  ['commandtimeout', 'timeout'],
  ['negativettl errorttl', 'rejectedTtl'],
  ['idletimeout inactivity sessiontimeout', 'idle'],
  ['refreshinterval checkinterval', 'revalidate', 'refresh'],
  [
    'timeout timeoutseconds timeoutms requesttimeout connecttimeout connectiontimeout dialtimeout readtimeout',
    'timeout: 3s',
    'commandTimeout: 1s',
    'serverTimeout: 1s',
    'reviewTimeout: 10s',
  ],
  ['concurrency maxconcurrency parallelism', 'maxConcurrent', 'maxInFlight', 'inFlight'],
  [
    'ratelimit perip rate',
    'perAddress: 10/m',
    'limits: { perAddress: 10/m }',
    ['maxFailures', 'remove it: login.limits.perAddress limits client addresses'],
  ],
  // Sections and entries
  ['logging loglevel verbosity severity debug', 'level', 'log: { level: info }'],
  ['format', ['level', 'remove it: each line of the log is JSON']],
  ['output file path filename destination', ['level', 'remove it: the log goes to standard error']],
  ['level policy', ['output', 'remove it: each decision is logged']],
  [
    'order priority weight',
    ['onError', 'remove it: authenticators are called in the order of this list'],
  ],
  [
    'metrics prometheus monitoring health probes',
    ['admin', 'write admin: { listen: 127.0.0.1:8081 }, which serves /metrics, /livez and /readyz'],
  ],
  ['file filename path logfile destination', 'output: audit.log', 'tokensFile: tokens.yaml'],
  [
    'kubeconfig',
    [
      'recognizes',
      'write url, caFile, and certFile with keyFile, or bearerFile, as that kubeconfig has them',
    ],
  ],
  ['auditlog auditing', 'audit: { output: audit.log }'],
  [
    'otel otlp opentelemetry telemetry',
    'tracing: { endpoint: http://otel-collector:4318/v1/traces }',
  ],
  ['collector exporter otlpendpoint', 'endpoint: http://otel-collector:4318/v1/traces'],
  ['ratio sampling samplerate samplingratio samplingrate', 'sampleRatio: 0.1'],
  [
    'apiversion kind metadata version',
    'use',
    ['authenticators', 'remove it: this file is not a Kubernetes object'],
  ],
  ['backends connectors identityproviders auth', 'authenticators'],
  ['type plugin driver backend', 'use'],
  ['config settings params parameters', 'options'],
  ['id', ['use', 'did you mean name?']],
  ['mfa 2fa twofactor otp totp', 'secondFactor: { required: all, methods: [totp] }'],
  [
    'map rename mapping mappings',
    ['allow', 'remove it: groups keep their names after groups.prefix. Bind those in RBAC'],
  ],
  ['include includes match whitelist allowlist allowed', 'allow: [k8s-*]'],
  [
    'exclude deny denylist blacklist',
    ['allow', 'write allow: [k8s-*] with the groups that pass: all others are dropped'],
  ],
];

/**
 * Finds what a word of another program means.
 *
 * @param knownKeys the keys that are known in its place
 * @returns how to fix it, and the known key that was meant
 */
export function findSynonym(
  word: string,
  knownKeys: readonly string[],
): { readonly key: string; readonly fix: string } | undefined {
  const plain = word.toLowerCase().replaceAll(/[-_]/g, '');
  const meanings = rows.flatMap(([words, ...rowMeanings]) =>
    words.split(' ').includes(plain) ? rowMeanings : [],
  );
  for (const meaning of meanings) {
    const [text, otherFix] = typeof meaning === 'string' ? [meaning, undefined] : meaning;
    const [key = ''] = text.split(':');
    if (!knownKeys.includes(key)) continue;
    const fix = otherFix ?? (text === key ? `did you mean ${key}?` : `write ${text}`);
    const [, writtenKey = ''] = /^write (?:the )?(\w+)/.exec(fix) ?? [];
    return { fix, key: knownKeys.includes(writtenKey) ? writtenKey : key };
  }
  return undefined;
}
