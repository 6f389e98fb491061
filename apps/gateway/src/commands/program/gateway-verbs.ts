import { Option } from 'commander';
import { addressOption, audienceOption, option, repeatableOption, textOption } from '../options.ts';
import type { Program } from './program.ts';

/** Adds the commands that make a config, and run the gateway. */
export function addGatewayVerbs({ program, add }: Program): void {
  add(program, 'init', {
    description: 'create a config, certificates, and the kubeconfig that kube-apiserver needs',
    options: [
      repeatableOption(
        '--host <host>',
        'name or IP address for the server certificate; kube-apiserver uses the first one (required without --renew)',
      ),
      textOption(
        '--redis <url>',
        'Redis for tokens, sessions, blocks and shared caches, such as rediss://redis.example.com:6379',
      ),
      textOption(
        '--redis-ca <file>',
        "PEM file with the CA of the Redis certificate (default: this machine's CAs)",
      ),
      textOption(
        '--login [host]',
        'add a login server with this name (default: the first --host); needs --redis. With --renew: change its name, or make its certificate',
      ),
      textOption(
        '--service-account-issuer <url>',
        'first --service-account-issuer of the kube-apiserver, which sessions are for (default: https://kubernetes.default.svc.cluster.local)',
      ),
      new Option(
        '--renew',
        'replace the certificates of the server, the login server and kube-apiserver with new ones from the same CA',
      ).conflicts(['redis', 'redisCa', 'serviceAccountIssuer']),
    ],
    load: async () => (await import('../init/init.ts')).init,
    exitStatus: { 0: 'success', 1: 'nothing was written' },
    examples: {
      'Create a config with static tokens': 'init /etc/sallyport --host gateway.example.com',
      'Create a config with Redis and a login server':
        'init /etc/sallyport --host gateway.example.com --redis rediss://redis.example.com:6379 --login login.example.com',
      'Renew the certificates': 'init /etc/sallyport --renew',
    },
  }).argument(
    '<dir>',
    'new folder to create the files in; for a folder that has a gateway.yaml, what to add is printed',
  );

  add(program, 'serve', {
    description: 'run the gateway until SIGTERM; SIGHUP reloads its files',
    options: [
      option.config,
      addressOption('--listen <address>', 'override server.listen, such as 127.0.0.1:8080'),
      addressOption('--admin-listen <address>', 'override admin.listen'),
      new Option('--demo', 'run the demo with a new token, if no config is named'),
    ],
    load: async () => (await import('../serve.ts')).serve,
  });
}

/** Adds the commands that check the config, and explain what the gateways answer. */
export function addCheckVerbs({ program, add }: Program): void {
  add(program, 'check', {
    description: 'check the config, its files and its certificates, and connect to each backend',
    options: [option.config, option.output],
    load: async () => (await import('../check/check.ts')).check,
    exitStatus: { 0: 'no errors; there can be warnings', 1: 'at least one error' },
  });

  add(program, 'explain', {
    description:
      'explain what each authenticator answers for a token, which is typed at a prompt or read from standard input',
    options: [
      textOption('--user <name>', 'look up a user by Kubernetes name instead of a token'),
      option.exact,
      option.config,
      option.output,
      audienceOption(
        'audience of the review (default: server.apiAudiences). Name the --api-audiences of kube-apiserver, or else its --service-account-issuer',
      ).conflicts('user'),
    ],
    load: async () => (await import('../explain/explain.ts')).explain,
    tokenCall: 'explain',
    exitStatus: {
      0: 'authenticated; with --user: known',
      1: 'error: a backend is unavailable',
      3: 'refused or unknown',
      4: 'accepted only for audiences that kube-apiserver might not ask for: name its own with --audience',
    },
    examples: {
      'Explain a token, which you type at a prompt': 'explain',
      'Show what is known about a user': 'explain --user corp:jane',
    },
  });

  add(program, 'schema', {
    description:
      'print the JSON Schema of gateway.yaml, with the options of the bundled plugins and of those in --config',
    options: [option.config],
    load: async () => (await import('../check/check.ts')).schema,
  });
}
