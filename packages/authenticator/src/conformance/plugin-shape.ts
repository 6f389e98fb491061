import type { CaseDefinition } from './case-definition.ts';
import { verify } from './verdict.ts';

const cachings: readonly unknown[] = ['none', 'memory', 'shared'];

const loadable: CaseDefinition = {
  name: 'the plugin has the shape that the gateway loads',
  async run(kit) {
    const { specificationVersion, name, caching, create, createTokenIssuer, optionsSchema } = kit.harness.plugin;
    const standard = optionsSchema?.['~standard'];
    const why = 'The gateway refuses any other default export when it starts.';
    const got = (value: unknown) => `it is ${kit.tell(value)}`;
    const isWord = typeof name === 'string' && /^[a-z][a-z0-9]*$/.test(name);
    verify(specificationVersion === 1, {
      expected: 'specificationVersion to be 1',
      got: got(specificationVersion),
      why,
    });
    verify(isWord, {
      expected: 'name to be one word of lowercase letters and digits',
      got: got(name),
      why: 'It stands in the names of the metrics, and Prometheus takes no others.',
    });
    verify(cachings.includes(caching), {
      expected: "caching to be 'none', 'memory' or 'shared'",
      got: got(caching),
      why,
    });
    verify(typeof create === 'function', { expected: 'create to be a function', got: got(create), why });
    verify(createTokenIssuer === undefined || typeof createTokenIssuer === 'function', {
      expected: 'createTokenIssuer to be a function or left out',
      got: got(createTokenIssuer),
      why,
    });
    verify(standard?.version === 1, {
      expected: 'optionsSchema to be a Standard Schema',
      got: got(optionsSchema),
      why,
    });
    verify(typeof standard.validate === 'function', { expected: 'optionsSchema to validate', got: got(standard), why });
  },
};

const complete: CaseDefinition = {
  name: 'create() gives an authenticator with its methods',
  async run(kit) {
    const authenticator = await kit.create();
    const why = 'The gateway calls these on every authenticator.';
    for (const method of ['authenticate', 'close'] as const) {
      const got = `it is ${kit.tell(authenticator[method])}`;
      verify(typeof authenticator[method] === 'function', { expected: `${method} to be a function`, got, why });
    }
    for (const method of ['recognizes', 'check'] as const) {
      const value: unknown = authenticator[method];
      const expected = `${method} to be a function or left out`;
      verify(value === undefined || typeof value === 'function', { expected, got: `it is ${kit.tell(value)}`, why });
    }
    const { tokenPrefix = '' } = authenticator;
    verify(
      kit.tokens.valid.every(({ token }) => token.startsWith(tokenPrefix)),
      {
        expected: 'tokenPrefix to be what every token of its own begins with, or left out',
        got: `it is ${kit.tell(tokenPrefix)}`,
        why: "By it `sallyport check` tells whether two authenticators take each other's tokens for their own.",
      },
    );
  },
};

export const pluginShapeCases: readonly CaseDefinition[] = [loadable, complete];
