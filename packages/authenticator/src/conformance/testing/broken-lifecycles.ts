import { AuthenticatorError } from '../../index.ts';
import { type BrokenPlugins, withAuthenticator, withSchema } from './broken-plugin.ts';

const never = new AbortController().signal;

const brokenShapes: BrokenPlugins = {
  'the plugin has the shape that the gateway loads': {
    'has an unknown value for caching': ({ good }) => ({ ...good, caching: 'forever' as 'none' }),
    "has a name that metrics can't have": ({ good }) => ({ ...good, name: 'My_Plugin' }),
    'has an issuer of tokens that is not a function': ({ good }) => ({
      ...good,
      createTokenIssuer: {} as never,
    }),
  },
  'optionsSchema describes the options as a JSON Schema': {
    'describes no property': withSchema(() => {
      const input = () => ({ type: 'object' });
      return { jsonSchema: { input, output: input } };
    }),
  },
  'optionsSchema accepts no key that it does not name': {
    'accepts options that it does not name': withSchema(({ jsonSchema }) => {
      const input: typeof jsonSchema.input = (target) => ({
        ...jsonSchema.input(target),
        additionalProperties: {},
      });
      return { jsonSchema: { input, output: input } };
    }),
  },
  'bad options are refused with the key that is wrong': {
    'refuses options without saying which': withSchema((schema) => ({
      async validate(value) {
        const result = await schema.validate(value);
        return result.issues ? { issues: [{ message: 'invalid options' }] } : result;
      },
    })),
  },
  'a watched file that turns to garbage is refused, and what was loaded stays in force': {
    'forgets what it had before it reads a file again': ({ good }) => ({
      ...good,
      create: (options, context) =>
        good.create(options, {
          ...context,
          watchFile: (file, load) =>
            context.watchFile(file, async (content) => {
              await load(Buffer.from('{}'));
              await load(content);
            }),
        }),
    }),
  },
};

const brokenEnds: BrokenPlugins = {
  'close() may be called twice': {
    "can't be closed twice": withAuthenticator(() => {
      let closed = false;
      return {
        async close() {
          if (closed) throw new Error('closed already');
          closed = true;
        },
      };
    }),
  },
  'close() ends while the backend hangs': {
    'says goodbye to the backend and waits for an answer': withAuthenticator(
      (_inner, _context, { backend }) => ({
        async close() {
          await backend.lookup('goodbye', never).catch(() => {});
        },
      }),
    ),
  },
  'two authenticators of one plugin do not disturb each other': {
    'shares one connection between all of its authenticators': (parts) => {
      let open = false;
      return withAuthenticator(({ authenticate }) => {
        open = true;
        return {
          async authenticate(token, context) {
            if (!open) throw new AuthenticatorError('unavailable', 'the connection is closed');
            return await authenticate(token, context);
          },
          async close() {
            open = false;
          },
        };
      })(parts);
    },
  },
  'close() leaves no timer, socket or file watch behind': {
    'leaves a timer behind': withAuthenticator((_inner, _context, { defer }) => {
      const timer = setInterval(() => {}, 60_000);
      defer(() => clearInterval(timer));
      return {};
    }),
  },
};

export const brokenLifecycles: readonly BrokenPlugins[] = [brokenShapes, brokenEnds];
