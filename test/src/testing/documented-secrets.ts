/**
 * The private keys and the files of secrets that pages and examples tell users to make in /etc/sallyport. `configs.test.ts` of
 * test-docs compares them with the pages.
 */
export const documentedSecrets: readonly string[] = [
  'secrets/cache',
  'secrets/cache-key',
  'secrets/ldap-password',
  'secrets/new',
  'secrets/old',
  'secrets/partner',
  'secrets/password',
  'secrets/redis',
  'secrets/redis-admin',
  'secrets/redis-admin-url',
  'secrets/redis-password',
  'secrets/sealing-key',
  'secrets/sso',
  'secrets/tokens',
  'secrets/tokens-admin',
  'tls/login.key',
  'tls/server.key',
  'tls/webhook-client.key',
];
