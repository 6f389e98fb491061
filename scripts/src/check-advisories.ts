/**
 * Compares the packages that users run with npm's advisories: `pnpm advisories`. It fails for a known advisory. When there is no
 * answer, it says that nothing was checked, and does not fail: that says nothing about the packages.
 */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { compareWithAdvisories, listShipped, readTools } from './advisories.ts';

const registry = process.env.npm_config_registry ?? 'https://registry.npmjs.org/';
const isTool = readTools(JSON.parse(readFileSync('renovate.json', 'utf8')));
const packages = listShipped(parse(readFileSync('pnpm-lock.yaml', 'utf8')), isTool);
const report = await compareWithAdvisories(packages, (body) =>
  fetch(new URL('-/npm/v1/security/advisories/bulk', registry), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(60_000),
  }),
);
// GitHub shows this line with the run, which is green.
if (!report.isChecked && process.env.GITHUB_ACTIONS) console.log(`::warning::${report.text}`);
else console.log(report.text);
process.exitCode = report.hasAdvisories ? 1 : 0;
