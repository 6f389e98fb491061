const jsonSchema = () => ({ type: 'object', additionalProperties: false });

/**
 * Answers without a backend: the token `number-17-…` is that of the user `user-17`. It is copied next to a gateway.yaml.
 *
 * @type {import('@sallyport/authenticator').AuthenticatorPlugin<object>}
 */
const plugin = {
  specificationVersion: 1,
  name: 'numbered',
  caching: 'memory',
  optionsSchema: {
    '~standard': {
      version: 1,
      vendor: 'sallyport-bench',
      validate: (value) => ({ value }),
      jsonSchema: { input: jsonSchema, output: jsonSchema },
    },
  },
  async create() {
    return {
      async authenticate(token) {
        const number = Number(/^number-(\d+)-/.exec(token)?.[1]);
        if (Number.isNaN(number)) return { kind: 'no-opinion' };
        const groups = ['staff', `team-${number % 100}`, `office-${number % 7}`];
        return {
          kind: 'authenticated',
          user: { username: `user-${number}`, uid: `${number}`, groups },
        };
      },
      async close() {},
    };
  },
};

/** @public The gateway finds it through gateway.yaml. */
export default plugin;
