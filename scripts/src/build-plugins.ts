import { readFile } from 'node:fs/promises';
import type { Rolldown } from 'tsdown';

/** Modules of Node with properties that load a lot when they are read. An import reads all of them. */
const withLazyParts = ['http', 'crypto', 'process'];

/**
 * Imports only the used properties of these modules. An import of `node:http` also reads `http.WebSocket`, which loads
 * undici: a third of the time that the gateway takes to start.
 */
export function lazyBuiltins(): Rolldown.Plugin {
  const pattern = new RegExp(`^(node:)?(${withLazyParts.join('|')})$`);
  return {
    name: 'lazy-builtins',
    resolveId: {
      order: 'pre',
      filter: { id: pattern },
      handler: (id, _importer, { kind }) =>
        kind === 'import-statement' ? `\0builtin:${id.replace('node:', '')}` : undefined,
    },
    load: {
      filter: { id: /^\0builtin:/ },
      handler(id) {
        const name = id.replace('\0builtin:', '');
        const parts = Object.getOwnPropertyDescriptors(process.getBuiltinModule(name as 'http'));
        const names = Object.entries(parts).flatMap(([key, part]) =>
          'value' in part && key !== 'default' ? [key] : [],
        );
        return [
          `const builtin = /* @__PURE__ */ process.getBuiltinModule('node:${name}');`,
          'export default builtin;',
          ...names.map((key) => `export const ${key} = /* @__PURE__ */ (() => builtin.${key})();`),
        ].join('\n');
      },
    },
  };
}

/** Reduces mime-db, which koa uses, to the media types that a gateway meets. The whole table is bigger than koa. */
export function fewMediaTypes(kept: readonly string[]): Rolldown.Plugin {
  return {
    name: 'few-media-types',
    load: {
      filter: { id: /\/mime-db\/db\.json$/ },
      async handler(id) {
        const all: Record<string, object> = JSON.parse(await readFile(id, 'utf8'));
        return {
          code: JSON.stringify(Object.fromEntries(kept.map((type) => [type, all[type]]))),
          moduleType: 'json',
        };
      },
    },
  };
}

/** Reduces iconv-lite, by which koa-bodyparser reads bodies, to the encodings of Node. JSON is UTF-8. */
export function fewEncodings(): Rolldown.Plugin {
  return {
    name: 'few-encodings',
    load: {
      filter: { id: /\/iconv-lite\/encodings\/index\.js$/ },
      handler: () => `module.exports = require('./internal.js');`,
    },
  };
}

/** Writes other characters as escapes: V8 holds the text of a module in half the memory when it is ASCII. */
export function asciiOnly(): Rolldown.Plugin {
  return {
    name: 'ascii-only',
    generateBundle(_options, bundle) {
      for (const file of Object.values(bundle)) {
        if (file.type === 'chunk' && file.fileName.endsWith('.js')) file.code = escaped(file.code);
      }
    },
  };
}

/** Positions in the source map stay right up to the first escape of a line, and are a few columns off behind it. */
function escaped(code: string): string {
  return code.replaceAll(
    /[^\0-\x7f]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
