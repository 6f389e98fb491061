// Two people with their passwords, to try the login without a directory. Never use it for real accounts.
const people = {
  jane: { password: 'open-sesame', uid: '1', groups: ['k8s-admins'] },
  bob: { password: 'let-me-in', uid: '2', groups: [] },
};
const prefix = 'people_';

const tokenOf = (name, password) =>
  prefix + Buffer.from(JSON.stringify([name, password])).toString('base64url');

function find(name) {
  return Object.hasOwn(people, name) ? people[name] : undefined;
}

function read(token) {
  try {
    const [name, password] = JSON.parse(Buffer.from(token.slice(prefix.length), 'base64url'));
    return tokenOf(name, password) === token ? { name, password } : undefined;
  } catch {
    return undefined;
  }
}

function accept(name) {
  const { uid, groups } = people[name];
  return { kind: 'authenticated', user: { username: name, uid, groups } };
}

const jsonSchema = () => ({ type: 'object', properties: {}, additionalProperties: false });
const optionsSchema = {
  '~standard': {
    version: 1,
    vendor: 'example',
    validate: (value) => ({ value }),
    jsonSchema: { input: jsonSchema, output: jsonSchema },
  },
};

export default {
  specificationVersion: 1,
  name: 'people',
  caching: 'none',
  optionsSchema,
  create: () => ({
    tokenPrefix: prefix,
    recognizes: (token) => token.startsWith(prefix),
    claimedName: (token) => read(token)?.name,
    loginToken: tokenOf,
    async authenticate(token) {
      const { name, password } = read(token) ?? {};
      if (find(name)?.password === password) return accept(name);
      return { kind: 'rejected', reason: 'invalid-credentials' };
    },
    async revalidate({ username }) {
      return find(username) ? accept(username) : { kind: 'rejected', reason: 'unknown-user' };
    },
    async close() {},
  }),
};
