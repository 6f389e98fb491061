/** A program of the system that the tests need. */
export interface TestTool {
  /** The Debian package. */
  readonly name: string;
  /** The command that the tests run. For a package without one, it is the absolute path of a file that they need. */
  readonly command: string;
  /** The words after its name that say what the tests use it for. */
  readonly use: string;
}

export const testTools: readonly TestTool[] = [
  { name: 'curl', command: 'curl', use: 'pastes the line that the first start prints' },
  { name: 'jq', command: 'jq', use: 'finds gaps in audit trails, as docs/audit-trail.md says' },
  { name: 'openssl', command: 'openssl', use: 'makes certificates for the TLS tests' },
  { name: 'slapd', command: 'slapd', use: 'is the OpenLDAP server of the LDAP tests' },
  {
    name: 'ldap-utils',
    command: 'ldapwhoami',
    use: 'fills the directories of the LDAP tests, and looks into them',
  },
  {
    name: 'samba-ad-dc',
    command: 'samba',
    use: 'is the Active Directory domain of the LDAP tests',
  },
  {
    name: 'samba-ad-provision',
    command: '/usr/share/samba/setup/ad-schema/AD_DS_Attributes_Windows_Server_v1903.ldf',
    use: 'has the schema that a new domain begins with',
  },
  {
    name: '389-ds-base',
    command: 'ns-slapd',
    use: 'is the 389 Directory Server of the LDAP tests',
  },
  {
    name: 'libnss3-tools',
    command: 'certutil',
    use: 'installs the certificate of the 389 Directory Server',
  },
  { name: 'dnsmasq-base', command: 'dnsmasq', use: 'serves the SRV records of the LDAP tests' },
  { name: 'redis-server', command: 'redis-server', use: 'is the Redis server of the Redis tests' },
  {
    name: 'redis-sentinel',
    command: 'redis-sentinel',
    use: 'names the master in the Redis tests, and replaces it',
  },
  {
    name: 'valkey-server',
    command: 'valkey-server',
    use: 'is the Valkey server of the Redis tests',
  },
  { name: 'prometheus', command: 'promtool', use: 'checks the metrics and the alert rules' },
  {
    name: 'golang-go',
    command: 'go',
    use: "compiles a client with Go's net/http, as kube-apiserver's is",
  },
  {
    name: 'oathtool',
    command: 'oathtool',
    use: 'is the authenticator app of the tests of a second factor',
  },
  { name: 'unzip', command: 'unzip', use: 'unpacks Helm for the tests of the chart' },
  { name: 'binutils', command: 'strip', use: 'removes symbols from the Node in the image' },
  { name: 'umoci', command: 'umoci', use: 'unpacks the image, as a container runtime does' },
  {
    name: 'kubectl',
    command: 'kubectl',
    use: 'reads kubeconfigs as kube-apiserver does, and renders manifests',
  },
  {
    name: 'golang-github-go-ldap-ldap-dev',
    command: '/usr/share/gocode/src/github.com/go-ldap/ldap/v3/conn.go',
    use: 'logs in by LDAP as kubeguard/guard does, in the bench',
  },
  { name: 'systemd', command: 'systemd-analyze', use: 'checks the unit of deploy/systemd' },
  {
    name: 'logrotate',
    command: 'logrotate',
    use: 'rotates an audit trail, as deploy/systemd says',
  },
  {
    name: 'chromium-headless-shell',
    command: 'chromium-headless-shell',
    use: 'is the browser that reads the status page',
  },
];

/** The facts about the machine that the plan depends on. */
interface Machine {
  /** Whether a command, or the file of an absolute path, exists already. */
  has(command: string): boolean;
  /** Whether the user is root on Debian or a derivative. */
  readonly canInstall: boolean;
}

/** Decides about the next step. @returns it with the message for the user */
export function planSetup(tools: readonly TestTool[], machine: Machine) {
  const missing = tools.filter(({ command }) => !machine.has(command));
  const packages = missing.map(({ name }) => name);
  if (missing.length === 0) {
    const message = `Everything that the tests need is installed: ${tools.map(({ name }) => name).join(', ')}.`;
    return { kind: 'nothing', message } as const;
  }
  if (machine.canInstall) {
    const lines = missing.map(({ name, use }) => `  ${name}: ${use}`);
    const message = ['Debian packages to be installed for the tests:', ...lines].join('\n');
    return { kind: 'install', message, packages } as const;
  }
  const lines = missing.map(
    ({ name, command, use }) => `  ${command} (Debian package ${name}): ${use}`,
  );
  const fix = `On Debian or Ubuntu: sudo apt-get install ${packages.join(' ')}`;
  const message = ['The tests need these tools, which are missing:', ...lines, fix].join('\n');
  return { kind: 'impossible', message } as const;
}
