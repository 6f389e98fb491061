import { columns } from './columns.ts';

export type OutputFormat = 'text' | 'json';

/** Columns under upper-case heads. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  process.stdout.write(`${columns([head, ...rows])}\n`);
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
