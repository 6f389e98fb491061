import { hash, timingSafeEqual } from 'node:crypto';

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
    const isText = typeof name === 'string' && typeof password === 'string';
    return isText && tokenOf(name, password) === token ? { name, password } : undefined;
  } catch {
    return undefined;
  }
}

/** Compares in a time that says nothing about the password. */
function isPasswordOf(name, password) {
  const digest = (text) => hash('sha256', text, 'buffer');
  const known = find(name)?.password;
  return known !== undefined && timingSafeEqual(digest(known), digest(password));
}

function userOf(name) {
  const { uid, groups } = people[name];
  return { username: name, uid, groups };
}

function accept(name) {
  return { kind: 'authenticated', user: userOf(name) };
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
      const login = read(token);
      if (login && isPasswordOf(login.name, login.password)) return accept(login.name);
      return { kind: 'rejected', reason: 'invalid-credentials' };
    },
    async lookUp(name) {
      return find(name) && userOf(name);
    },
    async revalidate({ username }) {
      return find(username) ? accept(username) : { kind: 'rejected', reason: 'unknown-user' };
    },
    async close() {},
  }),
};
