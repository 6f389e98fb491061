import { createRollupLicensePlugin } from 'rollup-license-plugin';
import type { CopyEntry, UserConfig } from 'tsdown';
import { asciiOnly } from './build-plugins.ts';

/** Licenses that allow their code in a package of ours, if their text is there too. */
const allowedLicenses = [
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
  'Unlicense',
];

interface BundledPackage {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly licenseText?: string | undefined;
}

/** npm packs a license that is in the folder of the package. */
export const license: CopyEntry[] = [{ from: '../../LICENSE', to: '.' }];

/**
 * Settings that the builds of all packages share. What the manifest has in `dependencies` is imported when the package
 * runs; what it has in `devDependencies`, and the code uses, is bundled.
 */
export const buildBase: UserConfig = {
  format: 'esm',
  platform: 'node',
  fixedExtension: false,
  hash: false,
  // The log names the places of errors. The sources themselves are in the repository.
  sourcemap: true,
  outputOptions: { sourcemapExcludeSources: true },
  // The compiler in Go has no API. `isolatedDeclarations` makes a faster generator possible, which needs none.
  dts: { generator: 'oxc' },
  deps: {
    onlyBundle: false,
    // These packages use only a part of zod. The whole takes longer to load than all else.
    alwaysBundle: [/^@sallyport\/(plugin-kit|redis-connection\/options)$/],
    // Types of other packages are imported, since not all of them are written as modules.
    dts: { neverBundle: [/^(?!@sallyport\/)[^./]/] },
  },
  // Without this, an import stays that only an unused part needs.
  treeshake: { moduleSideEffects: [{ external: true, sideEffects: false }] },
  copy: license,
  // koa and its packages use eval: depd makes functions from strings.
  checks: { eval: false },
  minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
  failOnWarn: true,
  logLevel: 'warn',
};

/** Settings of a package that bundles others. It lists them with their licenses, for those who look for known holes. */
export const bundling: UserConfig = {
  ...buildBase,
  plugins: [
    asciiOnly(),
    createRollupLicensePlugin({
      outputFilename: false,
      additionalFiles: { 'bundled.json': listPackages, 'THIRD-PARTY-LICENSES.txt': licenseTexts },
      excludedPackageTest: (name) => name.startsWith('@sallyport/'),
      // The README and the sources of precond name this license, and its manifest does not.
      licenseOverrides: { 'precond@0.2.3': 'MIT' },
      unacceptableLicenseTest: (license) => !allowedLicenses.includes(license),
    }),
  ],
};

function listPackages(packages: readonly BundledPackage[]): string {
  const list = packages.map(({ name, version, license }) => ({ name, version, license }));
  return `${JSON.stringify(list, undefined, 2)}\n`;
}

function licenseTexts(packages: readonly BundledPackage[]): string {
  const parts = packages.map(
    ({ name, version, license, licenseText }) =>
      `${name} ${version} (${license})\n\n${licenseText?.trim() ?? ''}\n`,
  );
  return parts.join(`\n${'-'.repeat(80)}\n\n`);
}
