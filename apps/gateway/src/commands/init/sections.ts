import { stringify } from 'yaml';
import { authority } from '../../http/http-server.ts';
import { listenOn, loginNames, names, redisNames } from './layout.ts';
import { redisUser } from './redis.ts';

const loginPort = 8444;

/** What `init` adds to a gateway besides certificates. */
export interface Parts {
  readonly redis?: {
    readonly url: string;
    /** The CA of Redis, in PEM, and the file that it was read from. Left out: Node knows its CA. */
    readonly authority?: { readonly file: string; readonly text: string };
  };
  /** The name or address by which people reach the login server. It needs `redis`. */
  readonly login?: string;
  /** The audience that the API server of the cluster has without `--api-audiences`: its `--service-account-issuer`. */
  readonly audience: string;
}

export function loginUrl(host: string): string {
  return `https://${authority(host, loginPort)}`;
}

/** Writes the key of `server` by which `check` and `explain` know what the API server asks for. */
export function apiAudiencesLine(audience: string): string {
  const list = stringify([audience], {
    collectionStyle: 'flow',
    flowCollectionPadding: false,
  }).trim();
  return `  apiAudiences: ${list} # what kube-apiserver asks for: its --api-audiences, else its --service-account-issuer\n`;
}

/** Writes the options of a connection to Redis. @param url is quoted if YAML needs it */
function connection({ url, authority: redisAuthority }: NonNullable<Parts['redis']>): string {
  return `      url: ${stringify(url).trim()}
${redisAuthority === undefined ? '' : `      caFile: ${redisNames.authority}\n`}      username: ${redisUser}
      password: { file: ${redisNames.password} }
`;
}

/** Returns entries of `authenticators`, in the order in which they are asked. */
export function authenticatorSections({ redis, login }: Parts): string {
  if (redis === undefined) return '';
  const robots = `  - name: robots # sallyport token create --user ci --ttl 8h
    use: redis
    username: { prefix: "robot:" }
    groups: { prefix: "robot:" }
    options:
${connection(redis)}`;
  const sessions = `  - name: sessions # what a login starts
    use: redis
    options:
${connection(redis)}      keyPrefix: "sallyport:session:"
      tokenPrefix: sps_ # so that no other authenticator is asked about a session
`;
  return login === undefined ? robots : robots + sessions + directory;
}

const directory = `  - name: corp # your directory: replace each example.com, and dc=example,dc=com
    use: ldap
    username: { prefix: "corp:" }
    groups: { prefix: "corp:", allow: [k8s-*] } # the groups that the cluster's RBAC uses, as the directory names them
    options:
      urls: [ldaps://ldap.example.com]
      # caFile: tls/ldap-ca.crt # if this machine does not know the CA of the directory
      bind:
        dn: cn=sallyport,ou=services,dc=example,dc=com
        password: { file: ${loginNames.directoryPassword} }
      user:
        base: ou=people,dc=example,dc=com
        filter: (uid={username})
        attributes: { username: uid, uid: entryUUID }
      groups:
        base: ou=groups,dc=example,dc=com
        filter: (member={dn})
`;

/** Returns sections of the file. @param hosts the hosts of the server, which say whether to listen on IPv6 */
export function fileSections({ redis, login, audience }: Parts, hosts: readonly string[]): string {
  if (redis === undefined) return '';
  const cache = `cache:
  redis: # what replicas share; block and revoke act through it
${connection(redis).replaceAll(/^ {2}/gm, '')}    sealingKeys: [{ file: ${redisNames.sealingKey} }] # the same on every replica
`;
  return login === undefined
    ? cache
    : cache + lockout + loginSection(login, [login, ...hosts], audience);
}

const lockout = 'lockout: { maxFailures: 3 } # less than the directory allows\n';

function loginSection(host: string, hosts: readonly string[], audience: string): string {
  return `login:
  listen: ${listenOn(hosts, loginPort)} # people log in here
  publicUrl: ${loginUrl(host)}
  tls: { certFile: ${loginNames.certificate}, keyFile: ${loginNames.key} }
  caFile: ${names.authority} # goes into people's kubeconfigs
  authenticators: [corp]
  # browser: true # people also log in on a page, if their browsers trust ${loginNames.certificate}
  sessions: sessions
  clusters: # one entry for each cluster; a session is valid for one of them
    prod:
      audience: ${stringify(audience).trim()} # one cluster: its --service-account-issuer; several: a new one each, in its --api-audiences
      server: https://prod.example.com:6443
      # caFile: tls/prod-ca.crt # the CA of its API server; with kubeadm: /etc/kubernetes/pki/ca.crt
`;
}
